use crate::option::{OptionNumber, Options, decode_uint};

/// Holds the value of a Block1 or Block2 option (RFC 7959 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockValue {
    /// Number of the block, counted in blocks of this size; below 2^20.
    pub number: u32,
    /// Tells whether more blocks follow.
    pub more: bool,
    /// Size as an exponent: the block has `16 << size_exponent` bytes; 0 to 6.
    pub size_exponent: u8,
}

impl BlockValue {
    /// Largest block number: 20 bits.
    pub const NUMBER_MAX: u32 = (1 << 20) - 1;

    /// Largest size exponent: 1,024 bytes. 7 is reserved over UDP (RFC 7959 section 2.2).
    pub const SIZE_EXPONENT_MAX: u8 = 6;

    /// Returns the size of the block in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        16 << self.size_exponent
    }

    /// Returns the place of the block's first byte in the body.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.number as usize * self.size()
    }

    /// Reads an option value; `None` when it is longer than 3 bytes or has the reserved size 7.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        if value.len() > 3 {
            return None;
        }
        let value = decode_uint(value)?;
        let size_exponent = (value & 0x07) as u8;
        if size_exponent > Self::SIZE_EXPONENT_MAX {
            return None;
        }
        Some(Self { number: value >> 4, more: value & 0x08 != 0, size_exponent })
    }

    /// Returns the option value as an unsigned integer.
    #[must_use]
    pub const fn to_uint(self) -> u32 {
        (self.number << 4) | ((self.more as u32) << 3) | self.size_exponent as u32
    }

    /// Adds this value as the only option of that number.
    pub fn set(self, options: &mut Options, number: OptionNumber) {
        options.set_uint(number, self.to_uint());
    }
}
