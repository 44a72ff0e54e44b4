//! Private keys, and decryption with them.

use alloc::string::{String, ToString};
use core::fmt;

use crypto_bigint::{Odd, U2048};
use rand_core::{CryptoRng, Rng as _};
use rsa::{
    PrivateKey as RsaPrivateKey,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey},
    pkcs8::{DecodePrivateKey, LineEnding},
    traits::{PrivateKeyParts, PublicKeyParts},
};
use zeroize::Zeroizing;

use super::{DecryptError, KeyError, PublicKey, pad};
use crate::ct;
use crate::rng::Drbg;

/// A server's private RSA key of 2048 bits. It is wiped on drop, and `Debug` prints only the fingerprint.
///
/// Decryption is blinded with fresh randomness and checked against faults (SEC-48). All failures are one
/// [`DecryptError`] (SEC-47).
#[derive(Clone)]
pub struct PrivateKey {
    secret: RsaPrivateKey,
    /// The private exponent, big-endian.
    exponent: Zeroizing<[u8; 256]>,
    public: PublicKey,
}

/// Blinds the base of a private operation against timing measurements.
struct Blinding {
    /// `number^e mod n`.
    mask: [u8; 256],
    /// The inverse of the number modulo `n`.
    unmask: Zeroizing<[u8; 256]>,
}

/// Numbers tried for blinding. One has no inverse only if it reveals a factor of the modulus.
const MAX_DRAWS: usize = 2;

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
        let mut exponent = Zeroizing::new([0; 256]);
        let d = Zeroizing::new(secret.d().to_be_bytes());
        let significant = &d[d.iter().take_while(|byte| **byte == 0).count()..];
        let start = exponent.len().checked_sub(significant.len()).ok_or(KeyError::Exponent)?;
        exponent[start..].copy_from_slice(significant);
        Ok(Self { secret, exponent, public })
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

    /// `encrypted^d mod n`, blinded and checked.
    ///
    /// The kernels for Diffie-Hellman compute it in constant time. They have one width, 2048 bits, so the Chinese remainder
    /// theorem would save nothing; without it no fault can reveal a factor of `n`.
    fn raw_decrypt(
        &self,
        encrypted: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Zeroizing<[u8; 256]>, DecryptError> {
        let encrypted: &[u8; 256] = encrypted.try_into().map_err(|_| DecryptError)?;
        if encrypted >= self.public.modulus() {
            return Err(DecryptError);
        }
        let modulus = self.public.arithmetic();
        let Blinding { mask, unmask } = self.blinding(rng)?;
        let blinded = modulus.mul(encrypted, &mask);
        let power = Zeroizing::new(modulus.pow(&blinded, &self.exponent));
        let message = Zeroizing::new(modulus.mul(&power, &unmask));
        let again = Zeroizing::new(self.public.raw_encrypt(&message));
        if ct::eq(&again[..], encrypted) { Ok(message) } else { Err(DecryptError) }
    }

    /// Draws a number that the base of one operation is multiplied with, and what removes it from the result.
    fn blinding(&self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Blinding, DecryptError> {
        // 32 bytes are drawn from the caller, however many numbers are tried.
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let mut random = Drbg::from_seed(*seed);
        let modulus = Odd::new(U2048::from_be_slice(self.public.modulus())).into_option();
        let modulus = modulus.ok_or(DecryptError)?;
        for _ in 0..MAX_DRAWS {
            let mut number = Zeroizing::new([0; 256]);
            random.fill_bytes(&mut *number);
            // Below 2^2047, which is below the modulus.
            number[0] &= 0x7f;
            let inverse =
                Zeroizing::new(U2048::from_be_slice(&*number)).invert_odd_mod(&modulus).into_option();
            if let Some(inverse) = inverse.map(Zeroizing::new) {
                let unmask = Zeroizing::new(inverse.to_be_bytes().into());
                return Ok(Blinding { mask: self.public.raw_encrypt(&number), unmask });
            }
        }
        Err(DecryptError)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("fingerprint", &self.public.fingerprint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crypto_bigint::BoxedUint;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rsa::hazmat;

    use super::*;

    #[test]
    fn the_private_operation_agrees_with_the_rsa_crate() {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        let key = PrivateKey::generate(&mut rng).expect("a key");
        let mut n_minus_one = *key.public.modulus();
        n_minus_one[255] &= !1;
        let mut bases = alloc::vec![[0; 256], n_minus_one];
        bases[0][255] = 2;
        for _ in 0..8 {
            let mut base = [0; 256];
            rng.fill_bytes(&mut base);
            base[0] &= 0x7f;
            bases.push(base);
        }
        for base in bases {
            let number = BoxedUint::from_be_slice(&base, 2048).expect("2048 bits");
            let expected = hazmat::rsa_decrypt_and_check(&key.secret, None::<&mut ChaCha20Rng>, &number);
            let power = key.raw_decrypt(&base, &mut rng).expect("it is below the modulus");
            assert_eq!(&power[..], &*expected.expect("a power").to_be_bytes());
        }
    }

    #[test]
    fn a_wrong_result_of_the_private_operation_does_not_leave_it() {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        let mut key = PrivateKey::generate(&mut rng).expect("a key");
        let encrypted = key.public.encrypt_pad(b"data", &mut rng).expect("it is short enough");
        assert!(key.raw_decrypt(&encrypted, &mut rng).is_ok());
        key.exponent[255] ^= 2;
        assert!(key.raw_decrypt(&encrypted, &mut rng).is_err());
    }
}
