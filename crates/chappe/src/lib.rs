//! Telegram's MTProto 2.0, complete: handshake, sessions, transports and TL types behind one import.
#![forbid(unsafe_code)]
