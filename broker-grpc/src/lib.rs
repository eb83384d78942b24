//! broker-grpc
