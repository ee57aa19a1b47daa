//! Whether sessions are bound to the device that they were signed in on.

use super::reader::Reader;

/// What a session with a device key asks of a refresh (docs/device-binding.md).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeviceBinding {
    /// No device is asked for a key, and none has to prove one.
    #[default]
    Off,
    /// Devices are bound, and a refresh without proof is served and reported.
    Report,
    /// A refresh of a bound session without proof is refused.
    Require,
}

impl DeviceBinding {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        read.or("DEVICE_BINDING", Self::Off, |text| match text {
            "off" => Ok(Self::Off),
            "report" => Ok(Self::Report),
            "require" => Ok(Self::Require),
            _ => Err("use off, report or require".to_owned()),
        })
    }

    /// Whether devices are asked for keys.
    #[must_use]
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }
}
