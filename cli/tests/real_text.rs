//! The main job: a million lines of real text through a server, to three consumers at once.
#![cfg(unix)]

mod support;

use std::fs::File;

use support::corpus::write_corpus;
use support::{Process, Server};

#[test]
fn a_million_lines_of_real_text_reach_three_consumers_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("text");
    let lines = write_corpus(&text, 1_000_000);
    assert!(lines >= 1_000_000);

    let server = Server::start(&[
        "--records",
        "unlimited",
        "--bytes",
        "1GiB",
        "--memory",
        "4GiB",
    ]);
    let count = lines.to_string();
    let copies: Vec<_> = ["text", "raw", "text"]
        .into_iter()
        .enumerate()
        .map(|(i, format)| {
            let copy = folder.path().join(format!("copy-{i}"));
            let mut consume =
                server.footman(&["consume", "text", "-n", &count, "--output", format]);
            (format, Process::into_file(&mut consume, &copy), copy)
        })
        .collect();
    let input = File::open(&text).expect("the text is there");
    Process::fed(&mut server.footman(&["produce", "text"]), input)
        .finish()
        .expect_code(0);

    let text = std::fs::read(&text).expect("the text is there");
    for (format, consumer, copy) in copies {
        let finished = consumer.finish().expect_code(0);
        assert_eq!(
            finished.stderr, [""; 0],
            "nothing was lost and nothing happened"
        );
        let copy = std::fs::read(copy).expect("the copy is there");
        // Raw adds nothing between the records, and what stood between the lines was no part of them.
        let same = match format {
            "raw" => copy.iter().eq(text.iter().filter(|b| **b != b'\n')),
            _ => copy == text,
        };
        assert!(
            same,
            "the {format} copy has the {} bytes of the input",
            text.len()
        );
    }
    assert_eq!(server.describe("text")["end_offset"], lines);
}
