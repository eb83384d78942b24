//! Go: grpc-go, with code that buf and Go's own plugins generate.

use super::{scenario, workshop};
use crate::command::{self, command};
use anyhow::Result;

pub(super) fn run() -> Result<()> {
    workshop::need("go", "version")?;
    let buf = workshop::buf()?;
    let folder = workshop::examples("go")?;
    let mut generate = command(buf);
    generate.args(["generate", "../../proto"]);
    command::run(generate.current_dir(&folder))?;
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs)?;
    let mut build = command("go");
    build.args(["build", "-o", "bin/", "./produce", "./subscribe"]);
    command::run(build.current_dir(&folder))?;
    scenario::run(&scenario::Programs {
        produce: &|| command(programs.join("produce")),
        subscribe: &|| command(programs.join("subscribe")),
    })
}
