//! Checks that the files of a crate use each other in one direction only.
//!
//! The sources are parsed, without the code that is compiled only for tests. A path such as
//! `crate::data::chunk::Chunk` is an edge from the file that contains it to the file of the longest
//! module path at its beginning; a name that a module re-exports leads to the file that it comes
//! from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, LitStr, UseTree};

/// Names of the top-level modules of one layer, which must not use each other.
pub type Layer<'a> = &'a [&'a str];

/// Checks that each top-level module uses only itself and modules of lower layers, and that no
/// files use each other in a cycle. `layers` come from the lowest to the highest; `circles` are the
/// pairs of modules that may use each other.
///
/// # Errors
///
/// A line for each fault, with the file and the line of the path.
pub fn check(manifest_dir: &str, layers: &[Layer], circles: &[(&str, &str)]) -> Result<(), String> {
    let sources = Sources::read(Path::new(manifest_dir))?;
    let edges = sources.edges();
    let level = |room: &str| layers.iter().position(|layer| layer.contains(&room));
    let mut faults = BTreeSet::new();
    for module in sources.modules.keys().filter(|module| !module.is_empty()) {
        let room = room(module);
        if level(room).is_none() {
            faults.insert(format!("src/{room} is in no layer"));
        }
    }
    for edge in &edges {
        let (from, to) = (room(&edge.from), room(&edge.to));
        if from != to && level(from) <= level(to) {
            faults.insert(format!("{edge}: {from} is not above {to}"));
        }
    }
    for edge in &edges {
        let is_allowed = |(one, other): &(&str, &str)| {
            (*one, *other) == (&edge.from, &edge.to) || (*one, *other) == (&edge.to, &edge.from)
        };
        if !circles.iter().any(is_allowed) && reaches(&edges, &edge.to, &edge.from, circles) {
            faults.insert(format!("{edge}: {} uses {} too", edge.to, edge.from));
        }
    }
    report(faults)
}

/// Checks that no string and no name in the code contains one of the words. Comments, documentation
/// and tests may contain them.
///
/// # Errors
///
/// A line for each fault, with the file and the line of the word.
pub fn check_words(manifest_dir: &str, words: &[&str]) -> Result<(), String> {
    let sources = Sources::read(Path::new(manifest_dir))?;
    let mut faults = BTreeSet::new();
    for (file, items) in sources.modules.values() {
        let mut visitor = Words {
            wanted: words,
            file,
            faults: &mut faults,
        };
        for item in items {
            visitor.visit_item(item);
        }
    }
    report(faults)
}

fn report(faults: BTreeSet<String>) -> Result<(), String> {
    if faults.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = faults.into_iter().collect();
    Err(format!("\n{}", lines.join("\n")))
}

/// A use of one file by another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    file: PathBuf,
    line: usize,
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Returns whether one module uses another, directly or through others, except by the allowed
/// `circles`.
fn reaches(edges: &[Edge], from: &str, to: &str, circles: &[(&str, &str)]) -> bool {
    let is_allowed = |edge: &Edge| {
        let pair = (edge.from.as_str(), edge.to.as_str());
        circles.contains(&pair) || circles.contains(&(pair.1, pair.0))
    };
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            let used = edges.iter().filter(|e| e.from == module && !is_allowed(e));
            next.extend(used.map(|edge| edge.to.as_str()));
        }
    }
    false
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// Returns the module path of an item that declares a module in a file of its own: `mod name;`.
fn file_of(item: &Item, module: &str) -> Option<String> {
    let Item::Mod(item) = item else { return None };
    let parts = [module, &item.ident.to_string()];
    let is_file = item.content.is_none();
    is_file.then(|| parts.join("::").trim_start_matches(':').to_owned())
}

/// The parsed files of a crate by their module paths; the path of the crate's root is empty.
struct Sources {
    modules: BTreeMap<String, (PathBuf, Vec<Item>)>,
}

impl Sources {
    fn read(manifest_dir: &Path) -> Result<Self, String> {
        let root = manifest_dir.join("src");
        let mut modules = BTreeMap::new();
        let mut of_tests = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let shown = path.strip_prefix(manifest_dir).unwrap_or(&path).to_owned();
                    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", shown.display());
                    let text = fs::read_to_string(&path).map_err(|e| failed(&e))?;
                    let items = syn::parse_file(&text).map_err(|e| failed(&e))?.items;
                    let module = module(path.strip_prefix(&root).unwrap_or(&path));
                    let (tests, items): (Vec<Item>, Vec<Item>) = items
                        .into_iter()
                        .partition(|item| is_test(attributes(item)));
                    of_tests.extend(tests.iter().filter_map(|item| file_of(item, &module)));
                    modules.insert(module, (shown, items));
                }
            }
        }
        modules.retain(|module, _| !of_tests.contains(module));
        Ok(Self { modules })
    }

    fn edges(&self) -> Vec<Edge> {
        let exports = self.exports();
        let mut edges = Vec::new();
        for (module, (file, items)) in &self.modules {
            if module.is_empty() {
                continue; // the root only lists the modules
            }
            let mut visitor = Paths::default();
            for item in items {
                visitor.visit_item(item);
            }
            for (path, line) in visitor.paths {
                let Some(to) = self.resolve(&path, module, &exports) else {
                    continue;
                };
                let is_own = to == *module || to.starts_with(&format!("{module}::"));
                if !is_own && !to.is_empty() {
                    edges.push(Edge {
                        from: module.clone(),
                        to,
                        file: file.clone(),
                        line,
                    });
                }
            }
        }
        edges
    }

    /// Returns the names that a `use` brings into a module, with the paths that they stand for.
    fn exports(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut exports = BTreeMap::new();
        for (module, (_, items)) in &self.modules {
            for item in items {
                let Item::Use(item) = item else { continue };
                let mut paths = Vec::new();
                collect(&item.tree, &mut Vec::new(), &mut paths);
                for (path, name) in paths {
                    exports.insert((module.clone(), name), path);
                }
            }
        }
        exports
    }

    /// Returns the module of the file that a path leads to; `None` for a path outside of the
    /// crate's files.
    fn resolve(
        &self,
        path: &[String],
        from: &str,
        exports: &BTreeMap<(String, String), Vec<String>>,
    ) -> Option<String> {
        let mut module: Vec<&str> = from.split("::").filter(|part| !part.is_empty()).collect();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [&module[..], &[first]].concat().join("::");
                if !self.modules.contains_key(&child) {
                    return None; // another crate's, or the file's own
                }
            }
        }
        while let Some(part) = rest.first() {
            let child = [&module[..], &[part]].concat().join("::");
            if !self.modules.contains_key(&child) {
                break;
            }
            module.push(part);
            rest = &rest[1..];
        }
        let found = module.join("::");
        let Some(name) = rest.first() else {
            return Some(found); // the module itself
        };
        match exports.get(&(found.clone(), name.clone())) {
            Some(target) if *target != path && found != from => {
                self.resolve(target, &found, exports).or(Some(found))
            }
            _ => Some(found),
        }
    }
}

/// Returns the module path of a file below `src`.
fn module(file: &Path) -> String {
    let file = file.with_extension("");
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    let mut parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    if matches!(parts.last(), Some(&"mod" | &"lib" | &"main")) {
        parts.pop();
    }
    parts.join("::")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_cfg_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(is_cfg_test)
}

/// Collects the paths of a `use`, each with the name that it brings into the module.
fn collect(tree: &UseTree, prefix: &mut Vec<String>, paths: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            collect(&path.tree, prefix, paths);
            prefix.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, prefix, paths);
            }
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let mut path = prefix.clone();
            if name != "self" {
                path.push(name.clone());
            }
            paths.push((path, name));
        }
        UseTree::Rename(rename) => {
            let mut path = prefix.clone();
            path.push(rename.ident.to_string());
            paths.push((path, rename.rename.to_string()));
        }
        UseTree::Glob(_) => paths.push((prefix.clone(), "*".to_owned())),
    }
}

/// Collects all paths of a file, with their lines.
#[derive(Default)]
struct Paths {
    paths: Vec<(Vec<String>, usize)>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        collect(&item.tree, &mut Vec::new(), &mut paths);
        let line = item.span().start().line;
        self.paths
            .extend(paths.into_iter().map(|(path, _)| (path, line)));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter();
        let parts: Vec<String> = parts.map(|part| part.ident.to_string()).collect();
        if parts.len() > 1 {
            self.paths.push((parts, path.span().start().line));
        }
        visit::visit_path(self, path);
    }
}

/// Looks for words in strings and names.
struct Words<'a> {
    wanted: &'a [&'a str],
    file: &'a Path,
    faults: &'a mut BTreeSet<String>,
}

impl Words<'_> {
    fn look(&mut self, text: &str, line: usize) {
        let text = text.to_lowercase();
        for word in self.wanted {
            if text.contains(&word.to_lowercase()) {
                let file = self.file.display();
                self.faults.insert(format!("{file}:{line}: {word}"));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Words<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {} // documentation

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.look(&literal.value(), literal.span().start().line);
    }

    fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
        self.look(&ident.to_string(), ident.span().start().line);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.look(&call.tokens.to_string(), call.span().start().line);
    }
}
