//! How e-values read.

use std::fmt;

use crate::Exact;

/// An e-value for people, from its common logarithm: the number as it is as long as that is
/// easy to read, e.g. `0.42` and `200`, and a power of ten beyond, e.g. `10^9.3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EValue(pub f64);

impl EValue {
    /// From the natural logarithm.
    #[must_use]
    pub fn from_ln(log_e: Exact) -> Self {
        Self(log_e.value() * std::f64::consts::LOG10_E)
    }
}

impl fmt::Display for EValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(log10) = self;
        let value = 10_f64.powf(*log10);
        match log10 {
            it if it.is_nan() => f.write_str("not kept"),
            ..-2.0 => f.write_str("below 0.01"),
            ..0.0 => write!(f, "{value:.2}"),
            ..1.0 => write!(f, "{value:.1}"),
            ..4.0 => write!(f, "{value:.0}"),
            _ => write!(f, "10^{log10:.1}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_values_read_as_numbers_until_they_are_long() {
        for (log10, text) in [
            (-3.0, "below 0.01"),
            (-0.3768, "0.42"),
            (0.0, "1.0"),
            (0.5, "3.2"),
            (1.0, "10"),
            (2.30103, "200"),
            (2.418, "262"),
            (3.99, "9772"),
            (4.04, "10^4.0"),
            (9.3, "10^9.3"),
            (f64::MIN, "below 0.01"),
        ] {
            assert_eq!(EValue(log10).to_string(), text, "{log10}");
        }
        assert_eq!(EValue::from_ln(Exact::new(200_f64.ln())).to_string(), "200");
    }
}
