//! Private keys, and decryption with them.

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

/// A server's private RSA key of 2048 bits. It is wiped on drop, and `Debug` prints only the fingerprint.
///
/// Decryption is blinded with fresh randomness and checked against faults (SEC-48). All failures are one
/// [`DecryptError`] (SEC-47).
#[derive(Clone)]
pub struct PrivateKey {
    secret: RsaPrivateKey,
    public: PublicKey,
}

/// The result of [`PrivateKey::decrypt_either`].
#[derive(Clone)]
pub enum Decrypted {
    /// The data of `RSA_PAD`, its hash checked, followed by random padding.
    Padded(Zeroizing<[u8; 192]>),
    /// The candidate for the older form: the unchecked SHA-1 of the data, the data, and random padding.
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
    /// Fails if the text is not such a key, or the key violates SEC-19.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let pem = pem.trim();
        RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs8_pem(pem))
            .map_err(|_| KeyError::Malformed)
            .and_then(Self::new)
    }

    /// Generates a key with the exponent 65537. Takes seconds.
    ///
    /// # Errors
    ///
    /// Fails if `rng` is broken.
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

    /// Encodes the key in PKCS#1 PEM form.
    ///
    /// # Errors
    ///
    /// Fails if the key cannot be encoded, which does not happen for keys created here.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = self.secret.to_pkcs1_pem(LineEnding::LF).map_err(|_| KeyError::Malformed)?;
        Ok(Zeroizing::new(pem.to_string()))
    }

    /// Decrypts the output of [`PublicKey::encrypt_pad`] to 192 bytes: the data, then random padding. The TL object in the
    /// data determines where it ends.
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

    /// Decrypts the form used before `RSA_PAD`, for servers with old clients. The 255 bytes are the SHA-1 of the data, the
    /// data and random padding. The caller parses the TL object to find the end of the data, and compares the hash in
    /// constant time.
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

    /// Decrypts either form with a single private operation, for servers with old clients: as
    /// [`decrypt_pad`](Self::decrypt_pad) if its hash matches, otherwise as
    /// [`decrypt_legacy`](Self::decrypt_legacy).
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
