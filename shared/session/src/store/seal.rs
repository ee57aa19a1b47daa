//! Sealing private keys: AES-256-GCM under a data key that only a key service can unwrap.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::StoreError;

/// The future of a call to the key service; boxed, because such a call is rare and the store that
/// makes it must not depend on which service it is.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Makes and unwraps data keys: KMS where it ships, an emulation of it in tests.
pub trait DataKeys: fmt::Debug + Send + Sync {
    /// A fresh data key that can be unwrapped in the same context only.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the service cannot answer or refuses.
    fn generate<'a>(&'a self, context: &'a SealContext) -> Answer<'a, DataKey>;

    /// Unwraps a data key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the service cannot answer or refuses, as it does in another context.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a SealContext,
    ) -> Answer<'a, Zeroizing<Vec<u8>>>;
}

/// A key that seals one document.
pub struct DataKey {
    /// 32 bytes, to be forgotten after use.
    pub plain: Zeroizing<Vec<u8>>,
    /// The same, as only the service can read it.
    pub wrapped: Vec<u8>,
}

/// What a sealed document is bound to: moved elsewhere or kept from an earlier time it cannot be
/// opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealContext {
    /// The table.
    // Printable: names of table and item, which the key service logs.
    pub table: String,
    /// Its item, which names the application.
    pub document: String,
    /// The document's version.
    pub version: u64,
}

impl SealContext {
    /// The context as pairs of names and values; the service logs and compares them.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, String); 3] {
        [
            ("table", self.table.clone()),
            ("document", self.document.clone()),
            ("version", self.version.to_string()),
        ]
    }

    fn authenticated(&self) -> Aad<String> {
        Aad::from(format!("{}\n{}\n{}", self.table, self.document, self.version))
    }
}

/// Seals a document: nonce, cipher text, tag. `None` if the data key has the wrong length.
pub(super) fn seal(data_key: &[u8], context: &SealContext, document: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, data_key).ok()?;
    // Overwritten by the cipher text, so that no copy in the clear is left behind.
    let mut sealed = document.to_vec();
    let nonce = key.seal_in_place_append_tag(context.authenticated(), &mut sealed).ok()?;
    Some([nonce.as_ref().as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made; `None` for anything else, and in any other context.
pub(super) fn open(
    data_key: &[u8],
    context: &SealContext,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, data_key).ok()?;
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut document = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(nonce, context.authenticated(), &mut document).ok()?.len();
    document.truncate(length);
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [3; 32];

    fn context(version: u64) -> SealContext {
        SealContext { table: "Keys".to_owned(), document: "public#private".to_owned(), version }
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_only() {
        let sealed = seal(&KEY, &context(1), b"document").unwrap();
        assert!(!sealed.windows(8).any(|bytes| bytes == b"document"));
        assert_eq!(open(&KEY, &context(1), &sealed).unwrap().as_slice(), b"document");
        assert!(open(&KEY, &context(2), &sealed).is_none());
        assert!(open(&[4; 32], &context(1), &sealed).is_none());
        assert!(open(&KEY, &context(1), &sealed[1..]).is_none());
        assert!(open(&KEY, &context(1), &[]).is_none());
    }

    #[test]
    fn no_two_seals_are_alike() {
        assert_ne!(seal(&KEY, &context(1), b"x"), seal(&KEY, &context(1), b"x"));
    }
}
