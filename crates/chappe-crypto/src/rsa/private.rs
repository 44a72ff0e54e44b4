//! The server's half: decryption.

use alloc::string::{String, ToString};
use core::fmt;

use crypto_bigint::BoxedUint;
use rand_core::CryptoRng;
use rsa::{
    PrivateKey as RsaPrivateKey, hazmat,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey},
    pkcs8::{DecodePrivateKey, LineEnding},
    traits::PublicKeyParts,
};
use zeroize::{Zeroize, Zeroizing};

use super::{DecryptError, KeyError, PublicKey, pad};
use crate::rng::Drbg;

/// A server's private RSA key of 2048 bits. It is wiped when dropped, and `Debug` shows the fingerprint alone.
///
/// Decryption is blinded with fresh randomness and checked against faults (SEC-48). All failures are one
/// [`DecryptError`] (SEC-47).
#[derive(Clone)]
pub struct PrivateKey {
    secret: RsaPrivateKey,
    public: PublicKey,
}

/// What [`PrivateKey::decrypt_either`] found.
#[derive(Clone)]
pub enum Decrypted {
    /// The data of `RSA_PAD`, its hash checked, followed by random padding.
    Padded(Zeroizing<[u8; 192]>),
    /// Perhaps the form used before: SHA-1 of the data, not checked yet, the data, random padding.
    Legacy(Zeroizing<[u8; 255]>),
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Padded(_) => f.write_str("Padded(..)"),
            Self::Legacy(_) => f.write_str("Legacy(..)"),
        }
    }
}

impl PrivateKey {
    /// Reads a key in PEM form, `RSA PRIVATE KEY` (PKCS#1) or `PRIVATE KEY` (PKCS#8).
    ///
    /// # Errors
    ///
    /// Fails if the text is no such key, or the key is not acceptable (SEC-19).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let pem = pem.trim();
        RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs8_pem(pem))
            .map_err(|_| KeyError::Malformed)
            .and_then(Self::new)
    }

    /// Makes a new key with the exponent 65537. Takes seconds.
    ///
    /// # Errors
    ///
    /// Fails if no key came out, which only a broken `rng` can cause.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, KeyError> {
        RsaPrivateKey::new(rng, 2048).map_err(|_| KeyError::Generation).and_then(Self::new)
    }

    fn new(secret: RsaPrivateKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_components(&secret.n_bytes(), &secret.e_bytes())?;
        Ok(Self { secret, public })
    }

    /// Returns the public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Writes the key in PKCS#1 PEM form.
    ///
    /// # Errors
    ///
    /// Fails if the key cannot be encoded, which no key made here does.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = self.secret.to_pkcs1_pem(LineEnding::LF).map_err(|_| KeyError::Malformed)?;
        Ok(Zeroizing::new(pem.to_string()))
    }

    /// Decrypts what [`PublicKey::encrypt_pad`] made: 192 bytes, the data followed by random padding. Where the
    /// data ends is for the TL object in it to say.
    ///
    /// # Errors
    ///
    /// Fails if the input is not 256 bytes, not below the modulus, or its hash is wrong (SEC-47).
    pub fn decrypt_pad(
        &self,
        encrypted: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Zeroizing<[u8; 192]>, DecryptError> {
        pad::unpad(self.raw_decrypt(encrypted, rng)?)
    }

    /// Decrypts the form used before `RSA_PAD`, for servers that serve old clients: 255 bytes, the SHA-1 of the
    /// data, the data and random padding. The caller finds the end of the data by parsing the TL object, and
    /// compares the hash in constant time.
    ///
    /// # Errors
    ///
    /// Fails if the input is not 256 bytes, not below the modulus, or decrypts to more than 255 bytes (SEC-47).
    pub fn decrypt_legacy(
        &self,
        encrypted: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Zeroizing<[u8; 255]>, DecryptError> {
        let number = self.raw_decrypt(encrypted, rng)?;
        let mut message = Zeroizing::new([0; 255]);
        message.copy_from_slice(&number[1..]);
        if number[0] == 0 { Ok(message) } else { Err(DecryptError) }
    }

    /// Decrypts either form with a single private operation, for servers that serve old clients too: what
    /// [`decrypt_pad`](Self::decrypt_pad) returns if its hash is right, else what
    /// [`decrypt_legacy`](Self::decrypt_legacy) returns.
    ///
    /// # Errors
    ///
    /// Fails if the input is not 256 bytes, not below the modulus, or can be neither form (SEC-47).
    pub fn decrypt_either(
        &self,
        encrypted: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Decrypted, DecryptError> {
        let number = self.raw_decrypt(encrypted, rng)?;
        if let Ok(data) = pad::unpad(number.clone()) {
            return Ok(Decrypted::Padded(data));
        }
        let mut message = Zeroizing::new([0; 255]);
        message.copy_from_slice(&number[1..]);
        if number[0] == 0 { Ok(Decrypted::Legacy(message)) } else { Err(DecryptError) }
    }

    /// `encrypted^d mod n`, blinded.
    fn raw_decrypt(
        &self,
        encrypted: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Zeroizing<[u8; 256]>, DecryptError> {
        if encrypted.len() != 256 || encrypted >= self.public.modulus().as_slice() {
            return Err(DecryptError);
        }
        let number = BoxedUint::from_be_slice(encrypted, 2048).map_err(|_| DecryptError)?;
        // How many bytes blinding draws is up to the `rsa` crate; 32 bytes are drawn from the caller whatever it does.
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let mut blinding = Drbg::from_seed(*seed);
        let mut message = hazmat::rsa_decrypt_and_check(&self.secret, Some(&mut blinding), &number)
            .map_err(|_| DecryptError)?;
        let bytes = Zeroizing::new(message.to_be_bytes());
        message.zeroize();
        let mut result = Zeroizing::new([0; 256]);
        *result = bytes.as_ref().try_into().map_err(|_| DecryptError)?;
        Ok(result)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("fingerprint", &self.public.fingerprint()).finish_non_exhaustive()
    }
}
