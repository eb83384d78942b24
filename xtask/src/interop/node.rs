//! Node: @grpc/grpc-js, with the proto read as the program starts.

use super::{scenario, workshop};
use crate::command::command;
use anyhow::Result;

pub(super) fn run() -> Result<()> {
    workshop::need("node", "--version")?;
    let folder = workshop::examples("node")?;
    workshop::npm_install(&folder, &[])?;
    let program = |name: &str| {
        let mut node = command("node");
        node.arg(folder.join(name));
        node
    };
    scenario::run(&scenario::Programs {
        produce: &|| program("produce.mjs"),
        subscribe: &|| program("subscribe.mjs"),
    })
}
