//! What a bench found: figures with their spread, by group, and the machine that they were seen on. Kept as
//! JSON, whose form is fixed.

use super::machine::{self, Machine};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

/// How ours are named in groups: the crates, the one that others stand on first.
const OURS: [&str; 5] = [
    "ringbuf-core",
    "footman-batcher",
    "footman-broker",
    "footman-broker-grpc",
    "footman",
];

/// Whether more is better, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// The runs of one contender in one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) group: String,
    pub(crate) contender: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: usize,
}

impl Figure {
    /// What the machine can do, rather than what a program does.
    pub(crate) fn is_limit(&self) -> bool {
        self.contender.starts_with("limit:")
    }

    pub(crate) fn is_ours(&self) -> bool {
        OURS.iter().any(|name| {
            let rest = self.contender.strip_prefix(name);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
        })
    }

    /// How many times better this is than `other`; `None` where a zero makes that meaningless.
    pub(crate) fn times_better_than(&self, other: &Figure) -> Option<f64> {
        let (more, less) = match self.better {
            Better::Higher => (self.median, other.median),
            Better::Lower => (other.median, self.median),
        };
        (more > 0.0 && less > 0.0).then(|| more / less)
    }

    /// Whether no run of one was as any run of the other.
    pub(crate) fn is_apart_from(&self, other: &Figure) -> bool {
        self.min > other.max || self.max < other.min
    }
}

/// The figures that may be compared with one another: one group, in the order of its contenders.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) figures: Vec<&'a Figure>,
}

impl<'a> Group<'a> {
    pub(crate) fn unit(&self) -> &'a str {
        &self.figures[0].unit
    }

    pub(crate) fn better(&self) -> Better {
        self.figures[0].better
    }

    /// Ours, that the others are compared with: the one named as its crate, else the first.
    pub(crate) fn ours(&self) -> Option<&'a Figure> {
        let mut ours = self.figures.iter().filter(|figure| figure.is_ours());
        let first = ours.clone().next();
        let exact = ours.find(|figure| OURS.contains(&figure.contender.as_str()));
        exact.or(first).copied()
    }

    /// The best of those that are neither ours nor a limit.
    pub(crate) fn best_peer(&self) -> Option<&'a Figure> {
        let peers = self.figures.iter().copied();
        let peers = peers.filter(|figure| !figure.is_ours() && !figure.is_limit());
        match self.better() {
            Better::Higher => peers.max_by(|a, b| a.median.total_cmp(&b.median)),
            Better::Lower => peers.min_by(|a, b| a.median.total_cmp(&b.median)),
        }
    }

    /// How ours stands to the best peer.
    pub(crate) fn lead(&self) -> Option<Lead<'a>> {
        let (ours, peer) = (self.ours()?, self.best_peer()?);
        Some(Lead {
            ours,
            peer,
            times: ours.times_better_than(peer)?,
        })
    }
}

/// Ours beside the best peer of its group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lead<'a> {
    pub(crate) ours: &'a Figure,
    pub(crate) peer: &'a Figure,
    /// How many times better ours is.
    pub(crate) times: f64,
}

impl Lead<'_> {
    /// What the runs bear out: neither is ahead while some run of one was as some run of the other.
    pub(crate) fn standing(&self) -> Standing {
        if !self.ours.is_apart_from(self.peer) {
            Standing::Even
        } else if self.times > 1.0 {
            Standing::Ahead
        } else {
            Standing::Behind
        }
    }
}

/// Whether ours is better than a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Ahead,
    Even,
    Behind,
}

/// All the figures of one run of the bench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    #[serde(rename = "results")]
    figures: Vec<Figure>,
    /// What a reader should know beside the figures.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            versions: machine::tools(),
            figures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Reads what [`write_json`](Self::write_json) wrote.
    pub(crate) fn read_json(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is no report of a bench", file.display()))
    }

    /// What is left of it when only groups whose name contains `part` are wanted.
    pub(crate) fn only(mut self, part: Option<&str>) -> Self {
        let part = part.unwrap_or_default();
        self.figures.retain(|figure| figure.group.contains(part));
        self
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Adds a contender's runs. The order of the calls is the order of the report.
    ///
    /// # Panics
    ///
    /// If there is no run.
    pub(crate) fn add(
        &mut self,
        group: &str,
        contender: &str,
        (unit, better): (&str, Better),
        mut runs: Vec<f64>,
    ) {
        assert!(!runs.is_empty(), "{group}: {contender} has no run");
        runs.sort_by(f64::total_cmp);
        let middle = runs.len() / 2;
        let median = if runs.len() % 2 == 1 {
            runs[middle]
        } else {
            f64::midpoint(runs[middle - 1], runs[middle])
        };
        machine::add_version_of(contender, &mut self.versions);
        self.figures.push(Figure {
            group: group.to_owned(),
            contender: contender.to_owned(),
            unit: unit.to_owned(),
            better,
            median,
            min: runs[0],
            max: runs[runs.len() - 1],
            runs: runs.len(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// The groups, in the order in which they came first.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for figure in &self.figures {
            match groups.iter_mut().find(|group| group.name == figure.group) {
                Some(group) => group.figures.push(figure),
                None => groups.push(Group {
                    name: &figure.group,
                    figures: vec![figure],
                }),
            }
        }
        groups
    }

    /// The same contender's figure in the same group.
    pub(crate) fn counterpart(&self, figure: &Figure) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|own| own.group == figure.group && own.contender == figure.contender)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report with one group of each kind that charts and tables tell apart.
    pub(in crate::bench) fn example() -> Report {
        let mut report = Report::new();
        let rate = ("M records/s", Better::Higher);
        for (batch, ours, peer) in [("b1", 200.0, 80.0), ("b256", 900.0, 300.0)] {
            let group = format!("ring/1to1/u64/{batch}");
            report.add(
                &group,
                "ringbuf-core",
                rate,
                vec![ours * 0.9, ours, ours * 1.1],
            );
            report.add(&group, "rtrb", rate, vec![peer * 0.5, peer, peer]);
            report.add(&group, "tokio broadcast", rate, vec![10.0]);
            report.add(&group, "limit:memory <copy>", rate, vec![ours * 2.0]);
        }
        for (percentile, micros) in [("", 40.0), ("-p99", 200.0), ("-p99.9", 9_000.0)] {
            let group = format!("servers/latency/10khz{percentile}");
            report.add(&group, "footman", ("us", Better::Lower), vec![micros]);
            report.add(
                &group,
                "nats",
                ("us", Better::Lower),
                vec![micros * 3.0, micros * 5.0],
            );
        }
        for subscribers in [1, 8, 64] {
            let group = format!("servers/fanout/128B/x{subscribers}");
            let many = f64::from(subscribers);
            report.add(&group, "footman", rate, vec![many * 2.0]);
            report.add(&group, "nats", rate, vec![many.sqrt()]);
        }
        report.notes.push("a note".to_owned());
        report
    }

    #[test]
    fn ours_are_known_by_their_crate_and_others_are_compared_with_the_best_peer() {
        let report = example();
        let groups = report.groups();
        let first = &groups[0];
        assert_eq!(first.ours().expect("there").contender, "ringbuf-core");
        assert_eq!(first.best_peer().expect("there").contender, "rtrb");
        let lead = first.lead().expect("both are there");
        assert_eq!((lead.times, lead.standing()), (2.5, Standing::Ahead));
        let latency = groups.iter().find(|group| group.better() == Better::Lower);
        let latency = latency.expect("there");
        assert_eq!(latency.ours().expect("there").contender, "footman");
        let times = latency.lead().map(|lead| lead.times);
        assert_eq!(times, Some(4.0), "less is better: 160 to 40");
        let mut close = Report::new();
        for (contender, runs) in [("footman", [9.0, 10.0, 12.0]), ("peer", [11.0, 12.0, 13.0])] {
            close.add("g", contender, ("/s", Better::Higher), runs.to_vec());
        }
        let lead = close.groups()[0].lead().map(|lead| lead.standing());
        assert_eq!(
            lead,
            Some(Standing::Even),
            "11 is within the spread of ours"
        );
        assert!(!report.groups()[0].figures[3].is_ours());
        let mut lossy = Report::new();
        for (contender, lost) in [("footman", 1.0), ("some", 3.0), ("none", 0.0)] {
            lossy.add("g", contender, ("% lost", Better::Lower), vec![lost]);
        }
        let best = lossy.groups()[0]
            .best_peer()
            .map(|best| best.contender.clone());
        assert_eq!(
            best.as_deref(),
            Some("none"),
            "nothing lost is less than something"
        );
    }

    #[test]
    fn a_report_can_be_of_some_groups_only() {
        assert_eq!(
            example().only(None).groups().len(),
            example().groups().len()
        );
        let report = example().only(Some("servers/fanout"));
        let groups = report.groups();
        assert_eq!(groups.len(), 3);
        assert!(
            groups
                .iter()
                .all(|group| group.name.starts_with("servers/fanout/"))
        );
        assert!(example().only(Some("no such")).is_empty());
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("report.json");
        let report = example();
        report.write_json(&file).expect("it is written");
        let read = Report::read_json(&file).expect("it is read");
        assert_eq!(read.groups().len(), report.groups().len());
        assert_eq!(read.notes, report.notes);
        assert!(read.versions["rtrb"].starts_with(char::is_numeric));
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).expect("there")).expect("JSON");
        assert_eq!(json["results"][0]["better"], "higher");
        assert_eq!(json["results"][0]["median"], 200.0);
        assert_eq!(json["results"][0]["runs"], 3);
    }
}
