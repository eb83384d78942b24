//! buf: the proto keeps its rules, its layout, and what clients were built on.

use super::workshop;
use crate::command::{self, command};
use anyhow::Result;

pub(super) fn run() -> Result<()> {
    let program = workshop::buf()?;
    let protos = "broker-grpc/proto";
    let buf = |args: &[&str]| command::run(command(&program).args(args));
    buf(&["lint", protos])?;
    buf(&["format", "--diff", "--exit-code", protos])?;
    let mut ask = command("git");
    ask.args(["rev-parse", "--verify", "--quiet", "main"]);
    if command::output(&mut ask).is_err() {
        println!("there is no branch main to compare with: what breaks clients is not looked for");
        return Ok(());
    }
    let main = format!(".git#branch=main,subdir={protos}");
    buf(&["breaking", protos, "--against", &main])
}
