//! grpcurl: finds the services by reflection, and calls them.

use super::workshop;
use crate::{
    command::{self, command},
    server::Server,
};
use anyhow::{Result, ensure};

pub(super) fn run() -> Result<()> {
    let program = workshop::go_tool("grpcurl")?;
    let server = Server::start("debug", &[])?;
    let address = server.address();
    let call = |args: &[&str]| -> Result<String> {
        println!("$ grpcurl -plaintext {}", args.join(" "));
        let printed = command::output(command(&program).arg("-plaintext").args(args))?;
        print!("{printed}");
        Ok(printed)
    };
    let services = call(&[address, "list"])?;
    for service in [
        "footman.v1.Broker",
        "footman.v1.Admin",
        "grpc.health.v1.Health",
    ] {
        ensure!(
            services.contains(service),
            "reflection does not list {service}"
        );
    }
    // Bytes are base64 in protobuf's JSON: "aGVsbG8=" is "hello".
    let request = r#"{"topic": "curl", "records": [{"value": "aGVsbG8="}]}"#;
    let produced = call(&["-d", request, address, "footman.v1.Broker/ProduceBatch"])?;
    ensure!(produced.contains("ack"), "the record was not acknowledged");
    let request = r#"{"topics": [{"topic": "curl", "earliest": true}]}"#;
    let fetched = call(&["-d", request, address, "footman.v1.Broker/Fetch"])?;
    ensure!(fetched.contains("aGVsbG8="), "the record did not come back");
    let topics = call(&[address, "footman.v1.Admin/ListTopics"])?;
    ensure!(topics.contains("\"curl\""), "the topic is not listed");
    let health = call(&[address, "grpc.health.v1.Health/Check"])?;
    ensure!(
        health.contains("SERVING"),
        "the server does not say that it serves"
    );
    server.stop()
}
