//! The layer rule: the allowed dependencies between crates.
//!
//! The table is that of `docs/architecture.md`. Arrows point down, neighbours do not depend on each other, and the crates
//! below the edge use no runtime. Engines read no clock ([`clocks`]). Development dependencies follow the same table, so that
//! tests cause no cycles. A test that needs more belongs to `chappe-conformance`.

mod clocks;

use anyhow::{Result, bail};
use cargo_metadata::Package;

use super::{Context, Verdict};
use crate::workspace;

/// One row: a package, whether it does I/O, and the workspace packages it may depend on.
struct Layer {
    package: &'static str,
    edge: bool,
    may_use: &'static [&'static str],
    /// Packages that its tests may use besides.
    in_tests: &'static [&'static str],
}

const fn below(package: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { package, edge: false, may_use, in_tests: &[] }
}

const fn edge(package: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { package, edge: true, may_use, in_tests: &[] }
}

/// The crates that drivers use.
const MACHINES: &[&str] = &[
    "chappe-types",
    "chappe-crypto",
    "chappe-tl",
    "chappe-tl-mtproto",
    "chappe-framing",
    "chappe-transport",
    "chappe-handshake",
    "chappe-session",
    "chappe-carrier",
    "chappe-dissect",
];

/// What a store of a server's keys needs.
const STORES: &[&str] = &["chappe-types", "chappe-crypto", "chappe-framing", "chappe-server"];

/// The allowed arrows.
const LAYERS: &[Layer] = &[
    below("chappe-types", &[]),
    below("chappe-crypto", &[]),
    below("chappe-tl", &[]),
    below("chappe-tl-parser", &[]),
    below("chappe-tl-gen", &["chappe-tl-parser"]),
    below("chappe-tl-dynamic", &["chappe-tl-parser"]),
    below("chappe-tl-mtproto", &["chappe-tl"]),
    below("chappe-tl-api", &["chappe-tl"]),
    below("chappe-tl-secret", &["chappe-tl"]),
    below("chappe-framing", &["chappe-types", "chappe-crypto", "chappe-tl", "chappe-tl-mtproto"]),
    below("chappe-transport", &["chappe-types", "chappe-crypto"]),
    below(
        "chappe-dissect",
        &[
            "chappe-types",
            "chappe-crypto",
            "chappe-tl",
            "chappe-tl-mtproto",
            "chappe-framing",
            "chappe-transport",
        ],
    ),
    below(
        "chappe-handshake",
        &["chappe-types", "chappe-crypto", "chappe-tl", "chappe-tl-mtproto", "chappe-framing"],
    ),
    below(
        "chappe-session",
        &["chappe-types", "chappe-crypto", "chappe-tl", "chappe-tl-mtproto", "chappe-framing"],
    ),
    edge("chappe-carrier", &["chappe-types", "chappe-crypto", "chappe-framing", "chappe-transport"]),
    edge(
        "chappe-import",
        &["chappe-types", "chappe-crypto", "chappe-tl", "chappe-handshake", "chappe-session"],
    ),
    edge("chappe-server", MACHINES),
    edge("chappe-server-postgres", STORES),
    edge("chappe-server-redis", STORES),
    // A client's connection is cut at every byte against a server in memory.
    Layer { package: "chappe-net", edge: true, may_use: MACHINES, in_tests: &["chappe-server"] },
    edge(
        "chappe-web",
        &[
            "chappe-types",
            "chappe-crypto",
            "chappe-tl",
            "chappe-tl-mtproto",
            "chappe-framing",
            "chappe-transport",
            "chappe-handshake",
            "chappe-session",
            "chappe-carrier",
            "chappe-net",
        ],
    ),
    edge(
        "chappe-loopback",
        &[
            "chappe-types",
            "chappe-crypto",
            "chappe-tl",
            "chappe-tl-mtproto",
            "chappe-framing",
            "chappe-transport",
            "chappe-handshake",
            "chappe-session",
            "chappe-carrier",
            "chappe-tl-api",
            "chappe-net",
            "chappe-server",
        ],
    ),
    Layer {
        package: "chappe-proxy",
        edge: true,
        may_use: &[
            "chappe-types",
            "chappe-crypto",
            "chappe-framing",
            "chappe-transport",
            "chappe-carrier",
            "chappe-net",
            "chappe-server",
        ],
        in_tests: &["chappe-loopback"],
    },
    edge(
        "chappe",
        &[
            "chappe-types",
            "chappe-crypto",
            "chappe-tl",
            "chappe-tl-parser",
            "chappe-tl-mtproto",
            "chappe-tl-api",
            "chappe-tl-secret",
            "chappe-tl-dynamic",
            "chappe-framing",
            "chappe-transport",
            "chappe-handshake",
            "chappe-session",
            "chappe-import",
            "chappe-server",
            "chappe-net",
            "chappe-loopback",
            "chappe-proxy",
            "chappe-dissect",
        ],
    ),
    edge("chappe-cli", &["chappe"]),
    edge("private-schema", &["chappe-tl", "chappe-tl-parser", "chappe-tl-gen"]),
    edge("xtask", &["chappe-tl-parser", "chappe-tl-gen", "chappe-tl-dynamic"]),
];

/// Depends on everything, and nothing depends on it.
const TOP: &str = "chappe-conformance";

/// Third-party crates with I/O, clocks or logging, which only the edge may use.
const EDGE_ONLY: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustls",
    "tokio-rustls",
    "tungstenite",
    "tokio-tungstenite",
    "tracing",
    "log",
];

/// Compares the dependencies of every package with the table.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let members = context.workspace.members();
    let arrows: Vec<Arrow> = members.iter().flat_map(|package| arrows(package)).collect();
    let names: Vec<&str> = members.iter().map(|package| package.name.as_str()).collect();
    let mut broken = violations(&names, &arrows);
    broken.extend(clocks::violations(&workspace::root()?, MACHINES)?);
    for line in &broken {
        context.shell.say(line)?;
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    let inside = arrows.iter().filter(|arrow| names.contains(&arrow.to.as_str())).count();
    Ok(Verdict::Passed(format!("{inside} arrows between {} packages", names.len())))
}

/// A dependency of any kind: normal, development or build.
struct Arrow {
    from: String,
    to: String,
    kind: &'static str,
}

fn arrows(package: &Package) -> Vec<Arrow> {
    let kind = |dependency: &cargo_metadata::Dependency| match dependency.kind {
        cargo_metadata::DependencyKind::Development => "dev-dependency",
        cargo_metadata::DependencyKind::Build => "build-dependency",
        _ => "dependency",
    };
    let arrow = |dependency: &cargo_metadata::Dependency| Arrow {
        from: package.name.to_string(),
        to: dependency.name.clone(),
        kind: kind(dependency),
    };
    package.dependencies.iter().map(arrow).collect()
}

/// Returns a line for each package without a row and each arrow that is not in the table.
fn violations(members: &[&str], arrows: &[Arrow]) -> Vec<String> {
    let row = |name: &str| LAYERS.iter().find(|layer| layer.package == name);
    let unknown = members.iter().filter(|name| **name != TOP && row(name).is_none());
    let mut found: Vec<String> =
        unknown.map(|name| format!("{name} has no row in the layer table")).collect();
    for Arrow { from, to, kind } in arrows.iter().filter(|arrow| arrow.from != TOP) {
        let Some(layer) = row(from) else { continue };
        let ours = members.contains(&to.as_str()) || to == TOP;
        let in_tests = *kind == "dev-dependency" && layer.in_tests.contains(&to.as_str());
        if ours && from != to && !in_tests && !layer.may_use.contains(&to.as_str()) {
            found.push(format!("{from} may not have {to} as a {kind}"));
        }
        if !layer.edge && *kind == "dependency" && EDGE_ONLY.contains(&to.as_str()) {
            found.push(format!("{from} is below the edge and may not use {to}"));
        }
    }
    found
}

#[cfg(test)]
mod checks {
    use super::{Arrow, LAYERS, violations};

    const MEMBERS: &[&str] = &["chappe-crypto", "chappe-transport", "chappe-session", "chappe-conformance"];

    fn arrow(from: &str, to: &str, kind: &'static str) -> Arrow {
        Arrow { from: from.to_owned(), to: to.to_owned(), kind }
    }

    #[test]
    fn an_arrow_of_the_table_passes() {
        assert!(violations(MEMBERS, &[arrow("chappe-transport", "chappe-crypto", "dependency")]).is_empty());
    }

    #[test]
    fn an_upward_arrow_is_refused() {
        assert_eq!(violations(MEMBERS, &[arrow("chappe-crypto", "chappe-session", "dependency")]).len(), 1);
    }

    #[test]
    fn a_sideways_arrow_is_refused_for_tests_too() {
        let found = violations(MEMBERS, &[arrow("chappe-session", "chappe-transport", "dev-dependency")]);
        assert_eq!(found, ["chappe-session may not have chappe-transport as a dev-dependency"]);
    }

    #[test]
    fn a_runtime_below_the_edge_is_refused() {
        assert_eq!(violations(MEMBERS, &[arrow("chappe-session", "tokio", "dependency")]).len(), 1);
    }

    #[test]
    fn a_package_without_a_row_is_refused() {
        assert_eq!(violations(&["chappe-new"], &[]).len(), 1);
    }

    #[test]
    fn nothing_depends_on_the_conformance_package() {
        assert_eq!(
            violations(MEMBERS, &[arrow("chappe-crypto", "chappe-conformance", "dev-dependency")]).len(),
            1
        );
    }

    #[test]
    fn every_arrow_of_the_table_points_to_an_earlier_row() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use.iter().chain(layer.in_tests) {
                let earlier = LAYERS[..at].iter().any(|row| row.package == *used);
                assert!(earlier, "{} -> {used}", layer.package);
            }
        }
    }
}
