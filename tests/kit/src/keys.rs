//! KEYS THAT ARE PUBLIC AND WORTHLESS. Everybody can read them here: never use them for anything else.

use jsonwebtoken::jwk::JwkSet;
use session::model::{KeyId, KeyLife};
use session::store::{StoredKeys, StoredMasterKey, StoredSigningKey};
use session::token::key::SigningAlgorithm;
use session::token::{MasterKey, MasterKeys, PublishedKey, SigningKey};

use crate::clock::START;

/// The private half of [`dynamic`], as PKCS #8.
pub const DYNAMIC: &[u8] = include_bytes!("../keys/dynamic.pkcs8.der");
const STATIC: &[u8] = include_bytes!("../keys/static.pkcs8.der");
const ES256: &[u8] = include_bytes!("../keys/es256.pkcs8.der");
const FOREIGN: &[u8] = include_bytes!("../keys/foreign.pkcs8.der");

/// The `kid` of [`dynamic`].
pub const DYNAMIC_ID: &str = "d-1700000000000";
/// The `kid` of [`fixed`].
pub const STATIC_ID: &str = "s-test";

const MASTER_SECRET: [u8; MasterKey::SECRET_LEN] = [7; MasterKey::SECRET_LEN];

fn rsa(key_id: &str, pkcs8: &[u8]) -> SigningKey {
    SigningKey::from_pkcs8(KeyId::new(key_id), SigningAlgorithm::Rs256, pkcs8).unwrap()
}

/// The dynamic signing key of every test stack.
pub fn dynamic() -> SigningKey {
    rsa(DYNAMIC_ID, DYNAMIC)
}

/// The static signing key of every test stack.
pub fn fixed() -> SigningKey {
    rsa(STATIC_ID, STATIC)
}

/// A dynamic key of the other algorithm, under the `kid` of [`dynamic`]; no test stack has it.
pub fn es256() -> SigningKey {
    SigningKey::from_pkcs8(KeyId::new(DYNAMIC_ID), SigningAlgorithm::Es256, ES256).unwrap()
}

/// A key that is in no published set, under the `kid` of the caller's choice.
pub fn foreign(key_id: &str) -> SigningKey {
    rsa(key_id, FOREIGN)
}

/// The master keys of every test stack.
pub fn master() -> MasterKeys {
    MasterKeys::new(MasterKey::new(1, "public", &MASTER_SECRET), Vec::new())
}

/// What a test stack's table of keys holds; all of them sign from [`START`] on.
pub fn stored() -> (StoredKeys, Vec<PublishedKey>) {
    let life = KeyLife::new(START, START);
    let stored = |id: &str, pkcs8| {
        StoredSigningKey::new(KeyId::new(id), SigningAlgorithm::Rs256, life, pkcs8)
    };
    let private = StoredKeys {
        version: 1,
        lacks_seal: false,
        signing: vec![stored(DYNAMIC_ID, DYNAMIC), stored(STATIC_ID, STATIC)],
        master: vec![StoredMasterKey::new(1, life, &MASTER_SECRET)],
    };
    let keys = published().keys.into_iter();
    (private, keys.map(|jwk| PublishedKey { jwk, life }).collect())
}

/// The key set that a test stack publishes.
pub fn published() -> JwkSet {
    JwkSet { keys: vec![dynamic().public_jwk(), fixed().public_jwk()] }
}
