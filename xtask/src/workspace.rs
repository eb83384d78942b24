//! The workspace as cargo knows it: its crates, their features, which of them are published, in which order.

use crate::command::{cargo, output};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    manifest_path: PathBuf,
    /// The registries that it may be published to: empty for none.
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    /// `None` for a normal one; `dev` and `build` for the others.
    kind: Option<String>,
    path: Option<PathBuf>,
}

impl Package {
    /// The folder that it lies in.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new(""))
    }

    fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    /// The crates of this workspace that it cannot be built without, and the version it asks for.
    fn needs(&self) -> impl Iterator<Item = (&str, &str)> {
        let dependencies = self.dependencies.iter();
        dependencies
            .filter(|dependency| {
                dependency.path.is_some() && dependency.kind.as_deref() != Some("dev")
            })
            .map(|dependency| (dependency.name.as_str(), dependency.req.as_str()))
    }
}

/// The crates that are published, each after those that it needs, all of one version that they also ask for.
pub(crate) fn published() -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let metadata =
        output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("reading cargo's metadata")?;
    let mut left: Vec<_> = metadata
        .packages
        .into_iter()
        .filter(Package::is_published)
        .collect();
    let mut ordered: Vec<Package> = Vec::new();
    while !left.is_empty() {
        let done: BTreeSet<_> = ordered.iter().map(|package| package.name.clone()).collect();
        let (ready, waiting): (Vec<_>, _) = left
            .into_iter()
            .partition(|package| package.needs().all(|(name, _)| done.contains(name)));
        ensure!(
            !ready.is_empty(),
            "the crates need one another in a circle, or one that is not published"
        );
        ordered.extend(ready);
        left = waiting;
    }
    for package in &ordered {
        let version = &ordered[0].version;
        ensure!(
            &package.version == version,
            "{} is {}, others {version}",
            package.name,
            package.version
        );
        for (name, req) in package.needs() {
            ensure!(
                req == format!("^{version}"),
                "{} asks for {name} {req}, which is {version}",
                package.name
            );
        }
    }
    Ok(ordered)
}
