//! HTTP types, their OpenAPI schemas and a typed client.
