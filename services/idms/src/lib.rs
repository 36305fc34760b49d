//! Identity management server: OpenID Connect with the MCX profile
