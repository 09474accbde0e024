use std::fmt;

/// Holds the code of a message: a request method, a response code or 0.00 for an empty message.
///
/// The three upper bits are the class, the five lower bits the detail (RFC 7252 section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// Builds the code `class.detail`; bits that do not fit (class above 7, detail above 31) are
    /// cut off.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self(((class & 0x07) << 5) | (detail & 0x1f))
    }

    /// Reads a code from its byte on the wire; every byte is a code.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Returns the byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// Returns the class, 0 to 7.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// Returns the detail, 0 to 31.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Tells whether this is 0.00, the code of a message without content.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether this is a method, known or not (0.01 to 0.31).
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// Tells whether this is a response code (classes 2, 4 and 5).
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// Tells whether this is a response of class 2.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Tells whether this is a response of class 4.
    #[must_use]
    pub const fn is_client_error(self) -> bool {
        self.class() == 4
    }

    /// Tells whether this is a response of class 5.
    #[must_use]
    pub const fn is_server_error(self) -> bool {
        self.class() == 5
    }
}

macro_rules! codes {
    ($($name:ident $class:literal $detail:literal $text:literal;)*) => {
        impl Code {
            $(
                #[doc = concat!($text, " (", $class, ".", $detail, ").")]
                pub const $name: Self = Self::new($class, $detail);
            )*

            /// Returns the name the specifications give this code, or `None` for an unassigned one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

// RFC 7252 section 12.1, RFC 7959 section 2.9, RFC 8132 and RFC 8516.
codes! {
    EMPTY 0 0 "Empty";
    GET 0 1 "GET";
    POST 0 2 "POST";
    PUT 0 3 "PUT";
    DELETE 0 4 "DELETE";
    FETCH 0 5 "FETCH";
    PATCH 0 6 "PATCH";
    IPATCH 0 7 "iPATCH";
    CREATED 2 1 "Created";
    DELETED 2 2 "Deleted";
    VALID 2 3 "Valid";
    CHANGED 2 4 "Changed";
    CONTENT 2 5 "Content";
    CONTINUE 2 31 "Continue";
    BAD_REQUEST 4 0 "Bad Request";
    UNAUTHORIZED 4 1 "Unauthorized";
    BAD_OPTION 4 2 "Bad Option";
    FORBIDDEN 4 3 "Forbidden";
    NOT_FOUND 4 4 "Not Found";
    METHOD_NOT_ALLOWED 4 5 "Method Not Allowed";
    NOT_ACCEPTABLE 4 6 "Not Acceptable";
    REQUEST_ENTITY_INCOMPLETE 4 8 "Request Entity Incomplete";
    CONFLICT 4 9 "Conflict";
    PRECONDITION_FAILED 4 12 "Precondition Failed";
    REQUEST_ENTITY_TOO_LARGE 4 13 "Request Entity Too Large";
    UNSUPPORTED_CONTENT_FORMAT 4 15 "Unsupported Content-Format";
    UNPROCESSABLE_ENTITY 4 22 "Unprocessable Entity";
    TOO_MANY_REQUESTS 4 29 "Too Many Requests";
    INTERNAL_SERVER_ERROR 5 0 "Internal Server Error";
    NOT_IMPLEMENTED 5 1 "Not Implemented";
    BAD_GATEWAY 5 2 "Bad Gateway";
    SERVICE_UNAVAILABLE 5 3 "Service Unavailable";
    GATEWAY_TIMEOUT 5 4 "Gateway Timeout";
    PROXYING_NOT_SUPPORTED 5 5 "Proxying Not Supported";
}

impl fmt::Display for Code {
    /// Writes the form of the specifications: `2.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{self} {name}"),
            None => write!(f, "{self}"),
        }
    }
}
