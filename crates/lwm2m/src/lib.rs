//! LwM2M without I/O: paths, values, content formats, registration, firmware object; server and client side.
