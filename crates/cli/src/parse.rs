//! Reads arguments; what is refused is said with what would be right.

use std::net::{IpAddr, SocketAddr};
use std::num::{IntErrorKind, NonZeroUsize};

use sim::fleet::DEVICES_MAX;

/// A whole number.
pub(crate) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let too_large = || format!("`{text}` is too large; write a smaller number");
    let number: u64 = text.parse().map_err(|error: std::num::ParseIntError| {
        if *error.kind() == IntErrorKind::PosOverflow {
            too_large()
        } else {
            format!("`{text}` is not a whole number; write digits only, e.g. `150`")
        }
    })?;
    T::try_from(number).map_err(|_| too_large())
}

/// A number of entries to print.
pub(crate) fn entries(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Err("0 entries are none; give at least 1, or leave it out for all".to_owned()),
        entries => Ok(entries),
    }
}

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    NonZeroUsize::new(whole(text)?)
        .ok_or_else(|| "0 threads do nothing; leave it out for one for each processor".to_owned())
}

/// A number of simulated devices.
pub(crate) fn simulated(text: &str) -> Result<usize, String> {
    let devices = whole(text)?;
    if devices > DEVICES_MAX {
        return Err(format!(
            "{devices} devices are more than one process can simulate; give at most {DEVICES_MAX}"
        ));
    }
    Ok(devices)
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is not an address to listen on; write IP:PORT, e.g. `127.0.0.1:8080`, \
             `0.0.0.0:8080` for every interface, or port 0 for a free one"
        )
    })
}

/// An address of this machine.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an IP address; write one of this machine, e.g. `127.0.0.1`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_is_right() {
        let check = |refused: Option<String>, expected: &str| {
            let said = refused.unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
            assert!(said.is_empty() || said.contains("; "), "{said}");
        };
        for (text, expected) in [
            ("0", ""),
            ("65535", ""),
            ("65536", "`65536` is too large"),
            ("99999999999999999999", "is too large"),
            ("abc", "`abc` is not a whole number"),
            ("1.5", "not a whole number"),
            ("", "not a whole number"),
        ] {
            check(whole::<u16>(text).err(), expected);
        }
        check(entries("1").err(), "");
        check(entries("0").err(), "at least 1");
        check(threads("2").err(), "");
        check(threads("0").err(), "leave it out");
        check(simulated("50000").err(), "");
        check(simulated("50001").err(), "give at most 50000");
        check(simulated("many").err(), "`many` is not a whole number");
        check(address("127.0.0.1:0").err(), "");
        check(address("[::1]:80").err(), "");
        check(address("nonsense").err(), "write IP:PORT");
        check(address("127.0.0.1").err(), "write IP:PORT");
        check(ip("here").err(), "not an IP address");
    }
}
