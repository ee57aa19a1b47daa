//! The settings of this function alone.

use session::config::{ConfigError, Reader, tenants};
use session::model::TenantId;

/// What this function does for its callers.
#[derive(Clone, Debug, Default)]
pub struct CreateConfig {
    /// `ALLOWED_TENANTS`, ids with commas between: the tenants that callers may sign users in to; all of
    /// them if it is not set.
    pub tenants: Option<Vec<TenantId>>,
}

impl CreateConfig {
    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every malformed setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(&lookup);
        let config = Self::read(&mut read);
        read.finish(config)
    }

    /// Every variable that is read.
    #[must_use]
    pub fn variables() -> Vec<&'static str> {
        Reader::asked_by(Self::read)
    }

    fn read(read: &mut Reader<'_>) -> Self {
        Self { tenants: read.optional("ALLOWED_TENANTS", tenants) }
    }

    pub(crate) fn allows(&self, tenant: &TenantId) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }
}
