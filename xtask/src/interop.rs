//! Real clients of other languages against the real server, each made from the `.proto` alone.
//!
//! Nothing here is needed to build or to test Footman in Rust: this is the promise to everybody else.

use crate::{
    command::{self, cargo, command, exists, root, target},
    server::Server,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

/// The version of grpcurl that is built where none is found.
const GRPCURL: &str = "v1.9.3";

/// A name, and what runs that client against the server at an address.
type Client = (&'static str, fn(&str) -> Result<()>);

const CLIENTS: [Client; 2] = [("python", python), ("grpcurl", grpcurl)];

/// Runs each language's client; with names, only those.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// Clients to run (all without any): python grpcurl
    clients: Vec<String>,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    command::run(cargo().args(["build", "--locked", "--package", "footman"]))?;
    for (name, client) in CLIENTS {
        if flags.clients.is_empty() || flags.clients.iter().any(|wanted| wanted == name) {
            let server = Server::start("debug", &[])?;
            client(server.address())?;
            server.stop()?;
            println!("interop: {name} holds");
        }
    }
    Ok(())
}

/// Makes a virtual environment and a client from the `.proto`, and runs the scenario and the examples.
fn python(server: &str) -> Result<()> {
    ensure!(
        exists("python3"),
        "python3 is needed (with its venv module)"
    );
    let folder = target().join("interop/python");
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        command::run(command("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let here = root().join("xtask/interop/python");
    let mut pip = command(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    command::run(pip.arg(here.join("requirements.txt")))?;

    let generated = folder.join("generated");
    std::fs::create_dir_all(&generated)?;
    let protos = root().join("broker-grpc/proto");
    let mut protoc = command(&python);
    protoc
        .args(["-m", "grpc_tools.protoc", "--proto_path"])
        .arg(&protos);
    for out in ["--python_out", "--grpc_python_out"] {
        protoc.arg(out).arg(&generated);
    }
    command::run(protoc.arg("footman/v1/broker.proto"))?;

    let script = |path: PathBuf, args: &[&str], input: Stdio| {
        let mut script = command(&python);
        script.arg(path).args(args).stdin(input);
        script
            .env("PYTHONPATH", &generated)
            .env("FOOTMAN_SERVER", server);
        command::run(&mut script)
    };
    script(here.join("scenario.py"), &[], Stdio::null())?;
    let readme = folder.join("readme.py");
    std::fs::write(&readme, readme_python()?.replace("127.0.0.1:7420", server))?;
    script(readme, &[], Stdio::null())?;
    let examples = root().join("broker-grpc/examples/python");
    let lines = File::open(root().join("LICENSE-MIT"))?;
    script(
        examples.join("produce.py"),
        &[server, "licence"],
        lines.into(),
    )?;
    script(
        examples.join("subscribe.py"),
        &[server, "licence", "10"],
        Stdio::null(),
    )
}

/// The README's ten lines of Python.
fn readme_python() -> Result<String> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let block = readme
        .split_once("```python\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (block, _) = block.context("the README has no Python")?;
    Ok(block.to_owned())
}

/// Finds the services by reflection, and calls them.
fn grpcurl(server: &str) -> Result<()> {
    let program = if exists("grpcurl") {
        PathBuf::from("grpcurl")
    } else {
        install_grpcurl()?
    };
    let call = |args: &[&str]| -> Result<String> {
        println!("$ grpcurl -plaintext {}", args.join(" "));
        let printed = command::output(command(&program).arg("-plaintext").args(args))?;
        print!("{printed}");
        Ok(printed)
    };
    let services = call(&[server, "list"])?;
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
    let produced = call(&["-d", request, server, "footman.v1.Broker/ProduceBatch"])?;
    ensure!(produced.contains("ack"), "the record was not acknowledged");
    let request = r#"{"topics": [{"topic": "curl", "earliest": true}]}"#;
    let fetched = call(&["-d", request, server, "footman.v1.Broker/Fetch"])?;
    ensure!(fetched.contains("aGVsbG8="), "the record did not come back");
    let topics = call(&[server, "footman.v1.Admin/ListTopics"])?;
    ensure!(topics.contains("\"curl\""), "the topic is not listed");
    Ok(())
}

fn install_grpcurl() -> Result<PathBuf> {
    ensure!(
        exists("grpcurl") || command("go").arg("version").output().is_ok(),
        "go is needed"
    );
    let tools = target().join("tools/bin");
    let program = tools.join("grpcurl");
    if !Path::exists(&program) {
        let mut install = command("go");
        install.arg("install").arg(format!(
            "github.com/fullstorydev/grpcurl/cmd/grpcurl@{GRPCURL}"
        ));
        command::run(install.env("GOBIN", &tools))?;
    }
    Ok(program)
}
