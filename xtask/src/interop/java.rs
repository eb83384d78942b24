//! Java: grpc-java by Maven, which brings the compiler of the proto and its plugin.

use super::{scenario, workshop};
use crate::command::{self, command};
use anyhow::Result;

pub(super) fn run() -> Result<()> {
    workshop::need("javac", "--version")?;
    workshop::need("mvn", "--version")?;
    let folder = workshop::examples("java")?;
    let mut package = command("mvn");
    package.args(["--quiet", "--batch-mode", "package"]);
    command::run(package.current_dir(&folder))?;
    let program = |class: &str| {
        let mut java = command("java");
        // One core's worth of collector and compiler: it lives for a second.
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg("target/classes:target/lib/*")
            .arg(class)
            .current_dir(&folder);
        java
    };
    scenario::run(&scenario::Programs {
        produce: &|| program("Produce"),
        subscribe: &|| program("Subscribe"),
    })
}
