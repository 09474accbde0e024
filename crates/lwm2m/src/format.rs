//! CoAP Content-Formats that LwM2M uses.

use std::fmt;

/// Is a CoAP Content-Format number (RFC 7252, section 12.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// Plain text, one value.
    pub const TEXT: Self = Self(0);
    /// Links (RFC 6690): registration and Discover.
    pub const LINK: Self = Self(40);
    /// Bytes, one value.
    pub const OPAQUE: Self = Self(42);
    /// CBOR, one value (from LwM2M 1.1).
    pub const CBOR: Self = Self(60);
    /// SenML in JSON (RFC 8428; from LwM2M 1.1).
    pub const SENML_JSON: Self = Self(110);
    /// SenML in CBOR (RFC 8428; from LwM2M 1.1).
    pub const SENML_CBOR: Self = Self(112);
    /// LwM2M TLV.
    pub const TLV: Self = Self(11542);
    /// LwM2M JSON of version 1.0.
    pub const LWM2M_JSON: Self = Self(11543);
    /// LwM2M CBOR (from LwM2M 1.2).
    pub const LWM2M_CBOR: Self = Self(11544);
    /// TLV under the number drafts used before registration.
    pub const TLV_DRAFT: Self = Self(1542);
    /// LwM2M JSON under the number drafts used before registration.
    pub const LWM2M_JSON_DRAFT: Self = Self(1543);

    /// Replaces the numbers of drafts with the registered ones.
    #[must_use]
    pub const fn registered(self) -> Self {
        match self {
            Self::TLV_DRAFT => Self::TLV,
            Self::LWM2M_JSON_DRAFT => Self::LWM2M_JSON,
            other => other,
        }
    }

    /// Tells whether the format carries one value only, never an instance or an object.
    #[must_use]
    pub const fn is_single_value(self) -> bool {
        matches!(self, Self::TEXT | Self::OPAQUE | Self::CBOR)
    }
}

impl fmt::Display for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.registered() {
            Self::TEXT => f.write_str("text"),
            Self::LINK => f.write_str("link-format"),
            Self::OPAQUE => f.write_str("opaque"),
            Self::CBOR => f.write_str("CBOR"),
            Self::SENML_JSON => f.write_str("SenML-JSON"),
            Self::SENML_CBOR => f.write_str("SenML-CBOR"),
            Self::TLV => f.write_str("TLV"),
            Self::LWM2M_JSON => f.write_str("LwM2M-JSON"),
            Self::LWM2M_CBOR => f.write_str("LwM2M-CBOR"),
            Self(number) => write!(f, "content format {number}"),
        }
    }
}
