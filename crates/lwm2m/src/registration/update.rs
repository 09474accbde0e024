use coap::Request;

use super::{
    ObjectLinks, Queries, RegisterRequest, RegistrationError, RegistrationLimits, links_of,
};
use crate::endpoint::{BindingMode, LwM2mVersion};

/// Is an Update of a registration: only what changes, often nothing at all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UpdateRequest {
    /// The new lifetime, in seconds.
    pub lifetime_s: Option<u32>,
    /// The new transports, and whether a `Q` of version 1.0 stood beside them.
    pub binding: Option<(BindingMode, bool)>,
    /// Whether a bare `Q` says that the device sleeps.
    pub queue_mode: bool,
    /// The new number for SMS.
    pub sms_number: Option<String>,
    /// The new objects and instances, in place of all earlier ones.
    pub links: Option<ObjectLinks>,
}

impl UpdateRequest {
    /// Reads an Update, with the default limits.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub fn parse(request: &Request) -> Result<Self, RegistrationError> {
        Self::parse_within(&RegistrationLimits::default(), request)
    }

    /// Reads an Update, with limits of the caller. Queries that only a Register has are passed
    /// over: the name and the version cannot change.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub fn parse_within(
        limits: &RegistrationLimits,
        request: &Request,
    ) -> Result<Self, RegistrationError> {
        let queries = Queries::read(request.queries())?;
        Ok(Self {
            lifetime_s: queries.lifetime_s()?,
            binding: queries.binding()?,
            queue_mode: queries.queue_mode,
            sms_number: queries.sms_number.map(str::to_owned),
            links: links_of(limits, request)?,
        })
    }

    /// Changes a registration, and tells whether its objects are now others.
    pub(crate) fn apply(self, registration: &mut RegisterRequest) -> bool {
        registration.lifetime_s = self.lifetime_s.unwrap_or(registration.lifetime_s);
        if let Some((binding, old_queue_mode)) = self.binding {
            registration.binding = binding;
            // From 1.1 on the binding says nothing of sleep, so its silence changes nothing.
            if registration.version == LwM2mVersion::V1_0 || old_queue_mode {
                registration.queue_mode = old_queue_mode;
            }
        }
        registration.queue_mode |= self.queue_mode;
        registration.sms_number = self.sms_number.or_else(|| registration.sms_number.take());
        match self.links {
            Some(links) if links != registration.links => {
                registration.links = links;
                true
            }
            _ => false,
        }
    }
}
