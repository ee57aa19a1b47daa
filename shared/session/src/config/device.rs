//! Whether sessions are bound to the device that they were signed in on.

use super::reader::Reader;
use super::{AllowedMethod, SessionConfig};

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

    pub(super) fn check(self, config: &SessionConfig, read: &mut Reader<'_>) {
        // Without cookies no browser is asked for a key.
        if !self.is_on() || config.transfer.method == AllowedMethod::Header {
            return;
        }
        let api = &config.api.domain;
        if config.cookies.partitioned {
            read.problem(
                "DEVICE_BINDING needs a cookie that browsers do not allow to be partitioned: leave \
                 COOKIE_PARTITIONED out, or set DEVICE_BINDING=off",
            );
        }
        if !api.is_https() && !api.is_loopback() {
            read.problem(format!(
                "DEVICE_BINDING needs https, and {api} is not reached by it: serve the API by https \
                 (API_DOMAIN), or set DEVICE_BINDING=off"
            ));
        }
    }

    /// Whether devices are asked for keys.
    #[must_use]
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }
}
