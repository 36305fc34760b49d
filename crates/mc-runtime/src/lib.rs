//! The IO shell: clock, randomness, sockets, HTTP, configuration, logs, shutdown
