//! Python: grpcio, with code that grpcio-tools generates; and the details that one client must check for all.

use super::{scenario, workshop};
use crate::{
    command::{self, command, root},
    server::Server,
};
use anyhow::{Context as _, Result};

pub(super) fn run() -> Result<()> {
    workshop::need("python3", "--version")?;
    let folder = workshop::examples("python")?;
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        let made = command::run(command("python3").args(["-m", "venv"]).arg(&venv));
        made.context("python3 needs its venv module")?;
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
    let mut protoc = command(&python);
    protoc.args(["-m", "grpc_tools.protoc", "-I", "../../proto"]);
    protoc.args([
        "--python_out=.",
        "--grpc_python_out=.",
        "footman/v1/broker.proto",
    ]);
    command::run(protoc.current_dir(&folder))?;

    let server = Server::start("debug", &[])?;
    let readme = folder.join("readme.py");
    std::fs::write(
        &readme,
        readme_python()?.replace("127.0.0.1:7420", server.address()),
    )?;
    for script in [here.join("scenario.py"), readme] {
        let mut script_run = command(&python);
        script_run
            .arg(script)
            .env("PYTHONPATH", &folder)
            .env("FOOTMAN_SERVER", server.address());
        command::run(&mut script_run)?;
    }
    server.stop()?;

    let program = |name: &str| {
        let mut program = command(&python);
        program.arg(folder.join(name));
        program
    };
    scenario::run(&scenario::Programs {
        produce: &|| program("produce.py"),
        subscribe: &|| program("subscribe.py"),
    })
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
