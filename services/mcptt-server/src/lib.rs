//! MCPTT server: registrar stand-in, participating and controlling functions, floor and media.

pub mod media_plane;
