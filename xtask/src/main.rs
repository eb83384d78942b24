//! The project's own tasks, run as `cargo xtask TASK`. One task, one file; this one only dispatches.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to its terminal"
)]

mod bench;
mod ci;
mod codegen;
mod command;
mod coverage;
mod docs;
mod fuzz;
mod hostile;
mod instructions;
mod interop;
mod loom;
mod models;
mod peers;
mod release;
mod sanitize;
mod server;
mod shuttle;
mod soak;
mod test;
mod workspace;

use clap::{Parser, Subcommand};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that CI runs, in CI's order
    Ci(ci::Flags),
    /// The tests, and each crate with every choice of features
    Test(test::Flags),
    /// The documentation, and the links between its files
    Docs(docs::Flags),
    /// The code generated from the proto, and its check
    Codegen(codegen::Flags),
    /// The loom models of every crate that has some, and their twins, which must fail
    Loom(loom::Flags),
    /// Scenarios past loom's size, in random schedules, and their twins, which must fail
    Shuttle(shuttle::Flags),
    /// The suites and the rings' stress under the compiler's sanitizers, and planted faults that they must catch
    Sanitize(sanitize::Flags),
    /// Instructions per record, counted by callgrind, against what was blessed
    Instructions(instructions::Flags),
    /// What peers and users can do, from libFuzzer under AddressSanitizer
    Fuzz(fuzz::Flags),
    /// Which share of each crate's lines the tests reach
    Coverage(coverage::Flags),
    /// Hours of ordinary life, and what a server holds at their end
    Soak(soak::Flags),
    /// Peers that attack, never read or send nonsense, and servers that are stopped, killed or suspended: with figures
    Hostile(hostile::Flags),
    /// Real clients of other languages against the real server
    Interop(interop::Flags),
    /// Fetch the servers that `bench servers` measures beside ours
    Peers(peers::Flags),
    /// Measure, in one run: medians, spread, ratios
    Bench(bench::Flags),
    /// What a release needs, and the release
    Release(release::Flags),
    /// A peer that the bench starts for itself
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    BenchPeer(bench::grpc::Flags),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Ci(flags) => ci::run(&flags),
        Task::Test(flags) => test::run(&flags),
        Task::Docs(flags) => docs::run(&flags),
        Task::Codegen(flags) => codegen::run(&flags),
        Task::Loom(flags) => loom::run(&flags),
        Task::Shuttle(flags) => shuttle::run(&flags),
        Task::Sanitize(flags) => sanitize::run(&flags),
        Task::Instructions(flags) => instructions::run(&flags),
        Task::Fuzz(flags) => fuzz::run(&flags),
        Task::Coverage(flags) => coverage::run(&flags),
        Task::Soak(flags) => soak::run(&flags),
        Task::Hostile(flags) => hostile::run(&flags),
        Task::Interop(flags) => interop::run(&flags),
        Task::Peers(flags) => peers::run(&flags),
        Task::Bench(flags) => bench::run(&flags),
        Task::Release(flags) => release::run(&flags),
        #[cfg(feature = "bench")]
        Task::BenchPeer(flags) => bench::grpc::serve(&flags),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use crate::command::root;
    use clap::CommandFactory as _;

    #[test]
    fn every_task_shows_how_it_is_called() {
        let cli = Cli::command();
        for task in cli.get_subcommands().filter(|task| !task.is_hide_set()) {
            let help = task.get_after_help().map(ToString::to_string);
            let example = format!("cargo xtask {}", task.get_name());
            assert!(
                help.is_some_and(|help| help.contains(&example)),
                "{} --help has no example",
                task.get_name()
            );
        }
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(root().join(path)).expect("the file is in the repository")
    }

    #[test]
    fn the_readme_shows_the_example_that_the_brokers_doctests_run() {
        let tested = read("broker/README.md");
        let (_, rest) = tested
            .split_once("```rust\n")
            .expect("the broker's README has an example");
        let (example, _) = rest.split_once("```").expect("the example ends");
        let shown: String = example
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("# "))
            .collect();
        assert!(
            read("README.md").contains(&shown),
            "the README should show:\n{shown}"
        );
    }

    #[test]
    fn every_file_on_the_walk_of_a_record_is_in_the_house() {
        let architecture = read("ARCHITECTURE.md");
        let files: Vec<_> = architecture
            .split("**`")
            .skip(1)
            .filter_map(|rest| rest.split_once("`**").map(|(file, _)| file))
            .filter(|file| file.ends_with(".rs"))
            .collect();
        assert!(files.len() > 20, "the walk names files in bold: {files:?}");
        for file in files {
            let folders = ["", "broker/src", "broker-grpc/src", "ringbuf-core/src"];
            let is_here = |folder| root().join(folder).join(file).is_file();
            assert!(folders.into_iter().any(is_here), "there is no {file}");
        }
    }
}
