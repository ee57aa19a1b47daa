//! The key of a device that a session may be bound to (docs/device-binding.md).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// How a device proves that it has its key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeviceKeyKind {
    /// The browser does, shortly before a refresh (W3C Device Bound Session Credentials).
    Dbsc,
    /// The client does, with each request (RFC 9449).
    Dpop,
}

impl DeviceKeyKind {
    const ALL: [Self; 2] = [Self::Dbsc, Self::Dpop];

    /// The word for it in the table and in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dbsc => "dbsc",
            Self::Dpop => "dpop",
        }
    }
}

/// A key that a client proved, known by its thumbprint. Not a secret.
///
/// Its text, `dbsc:` or `dpop:` and the thumbprint, is what the table holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct DeviceKey {
    /// How it is proved.
    pub kind: DeviceKeyKind,
    /// SHA-256 of the public key's JWK (RFC 7638).
    pub thumbprint: [u8; Self::LEN],
}

impl DeviceKey {
    /// Bytes of a thumbprint.
    pub const LEN: usize = 32;

    /// The thumbprint in base64url: `jkt` of access tokens (RFC 7800 §3.1, RFC 9449 §6.1).
    #[must_use]
    pub fn jkt(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint)
    }
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.jkt())
    }
}

impl From<DeviceKey> for String {
    fn from(key: DeviceKey) -> Self {
        key.to_string()
    }
}

/// The text names no device key.
#[derive(Debug, thiserror::Error)]
#[error("not a device key")]
pub struct InvalidDeviceKey;

impl FromStr for DeviceKey {
    type Err = InvalidDeviceKey;

    fn from_str(text: &str) -> Result<Self, InvalidDeviceKey> {
        let (kind, thumbprint) = text.split_once(':').ok_or(InvalidDeviceKey)?;
        let kind = DeviceKeyKind::ALL.into_iter().find(|known| known.name() == kind);
        let thumbprint = URL_SAFE_NO_PAD.decode(thumbprint).map_err(|_| InvalidDeviceKey)?;
        let thumbprint = thumbprint.try_into().map_err(|_| InvalidDeviceKey)?;
        Ok(Self { kind: kind.ok_or(InvalidDeviceKey)?, thumbprint })
    }
}

impl TryFrom<String> for DeviceKey {
    type Error = InvalidDeviceKey;

    fn try_from(text: String) -> Result<Self, InvalidDeviceKey> {
        text.parse()
    }
}

/// What a refresh needs of a session's device key. With it goes the key that was proved, if one was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyDemand {
    /// Nothing, and nobody looked at proofs.
    Nothing,
    /// Nothing: whatever the session's key is, it need not be proved.
    Noted(Option<DeviceKey>),
    /// That the session has no key, or that it is the one proved. As long as the device has never proved it,
    /// no proof will do, too: a browser that never heard that it is bound would lose its session.
    Proved(Option<DeviceKey>),
}

impl KeyDemand {
    /// Whether a session with that key may be refreshed; `is_pending` as in
    /// [`Session::device_pending`](super::Session::device_pending).
    ///
    /// The store states the same as a condition of its write.
    #[must_use]
    pub fn is_met(self, key: Option<DeviceKey>, is_pending: bool) -> bool {
        match self {
            Self::Nothing | Self::Noted(_) => true,
            Self::Proved(None) => key.is_none() || is_pending,
            Self::Proved(Some(proved)) => key.is_none_or(|key| key == proved),
        }
    }

    /// Whether the refresh shows that the browser knows of the session's key: its cookie is given out for that
    /// very key only.
    #[must_use]
    pub const fn ends_pending(self) -> bool {
        let (Self::Noted(proved) | Self::Proved(proved)) = self else { return false };
        matches!(proved, Some(DeviceKey { kind: DeviceKeyKind::Dbsc, .. }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(kind: DeviceKeyKind, byte: u8) -> DeviceKey {
        DeviceKey { kind, thumbprint: [byte; DeviceKey::LEN] }
    }

    #[test]
    fn a_session_without_a_key_needs_no_proof_and_one_with_a_key_needs_that_very_one() {
        let (dbsc, dpop) = (key(DeviceKeyKind::Dbsc, 1), key(DeviceKeyKind::Dpop, 1));
        let other = key(DeviceKeyKind::Dbsc, 2);
        for proved in [None, Some(dbsc), Some(dpop), Some(other)] {
            assert!(KeyDemand::Proved(proved).is_met(None, false));
            assert_eq!(KeyDemand::Proved(proved).is_met(Some(dbsc), false), proved == Some(dbsc));
            assert!(KeyDemand::Noted(proved).is_met(Some(dbsc), false));
        }
        assert!(KeyDemand::Nothing.is_met(Some(dbsc), false));
    }

    #[test]
    fn a_key_that_was_never_proved_is_not_demanded_and_no_other_key_takes_its_place() {
        let (dbsc, dpop) = (key(DeviceKeyKind::Dbsc, 1), key(DeviceKeyKind::Dpop, 1));
        let other = key(DeviceKeyKind::Dbsc, 2);
        for (proved, expected) in
            [(None, true), (Some(dbsc), true), (Some(dpop), false), (Some(other), false)]
        {
            assert_eq!(KeyDemand::Proved(proved).is_met(Some(dbsc), true), expected, "{proved:?}");
        }
    }

    #[test]
    fn only_the_text_of_a_key_is_a_key() {
        let text = key(DeviceKeyKind::Dbsc, 7).to_string();
        assert_eq!(text.len(), 48);
        for wrong in ["", "dbsc", "dbsc:", "DBSC:", "dbsc:AAAA", &text[5..], &format!("{text}A")] {
            assert!(wrong.parse::<DeviceKey>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_its_text(thumbprint: [u8; 32], is_dpop: bool) {
            let kind = if is_dpop { DeviceKeyKind::Dpop } else { DeviceKeyKind::Dbsc };
            let key = DeviceKey { kind, thumbprint };
            prop_assert_eq!(key.to_string().parse::<DeviceKey>().unwrap(), key);
        }
    }
}
