//! Namespaces as modules and files.

use std::collections::{BTreeMap, BTreeSet};

use crate::names;

/// The modules below one module of the root, such as `types`: one for each namespace and for each part of one.
pub(crate) struct Modules<'n> {
    /// The last parts of the modules directly inside, by namespace; the root has the empty one.
    inside: BTreeMap<&'n str, BTreeSet<&'n str>>,
}

impl<'n> Modules<'n> {
    /// The modules that these namespaces need.
    pub(crate) fn new(namespaces: impl IntoIterator<Item = &'n str>) -> Self {
        let mut inside: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        inside.entry("").or_default();
        for mut namespace in namespaces {
            inside.entry(namespace).or_default();
            while !namespace.is_empty() {
                let (outer, last) = namespace.rsplit_once('.').unwrap_or(("", namespace));
                inside.entry(outer).or_default().insert(last);
                namespace = outer;
            }
        }
        Self { inside }
    }

    /// Returns all modules by their namespaces, sorted; the root is the first one and has none.
    pub(crate) fn all(&self) -> impl Iterator<Item = Module<'n, '_>> {
        self.inside.iter().map(|(namespace, inside)| Module { namespace, inside })
    }
}

/// A module of a namespace.
pub(crate) struct Module<'n, 'm> {
    namespace: &'n str,
    /// The last parts of the modules directly inside.
    pub(crate) inside: &'m BTreeSet<&'n str>,
}

impl<'n> Module<'n, '_> {
    /// Returns the namespace; of the root, nothing.
    pub(crate) fn namespace(&self) -> Option<&'n str> {
        Some(self.namespace).filter(|namespace| !namespace.is_empty())
    }

    /// Returns the file of the module below the folder `kind`.
    pub(crate) fn file(&self, kind: &str) -> String {
        let mut path = kind.to_owned();
        for part in self.parts() {
            path = format!("{path}/{}", names::module_name(part).trim_start_matches("r#"));
        }
        if self.inside.is_empty() && !self.namespace.is_empty() { path + ".rs" } else { path + "/mod.rs" }
    }

    /// Returns the path to the root module: `super::super` for a namespace with one part.
    pub(crate) fn root(&self) -> String {
        vec!["super"; self.parts().count() + 1].join("::")
    }

    fn parts(&self) -> impl Iterator<Item = &'n str> {
        self.namespace.split('.').filter(|part| !part.is_empty())
    }
}
