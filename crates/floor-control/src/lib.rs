//! TS 24.380 floor control: wire format and state machines, without IO
