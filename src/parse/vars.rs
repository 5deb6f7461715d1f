//! Which vars a package's templates see.

use serde_json::Value as Json;

use crate::project::{BaseContext, Package, Project};
use crate::world::World;

/// The value of `var(name)` in a template of `package`: the command line wins, then the root project's vars (scoped to the
/// package, then global), then the package's own in the same order.
pub fn variable(project: &Project, package: &str, name: &str) -> Option<Json> {
    if let Some(value) = project.cli_vars.get(name) {
        return Some(value.clone());
    }
    let root = project.packages.iter().find(|candidate| candidate.name == project.name);
    let own = project.packages.iter().find(|candidate| candidate.name == package);
    [root, own].into_iter().flatten().find_map(|holder| {
        let scoped = holder.vars.get(package).and_then(Json::as_object).and_then(|vars| vars.get(name));
        scoped.or_else(|| holder.vars.get(name)).cloned()
    })
}

/// What renders the Jinja in `package`'s property files.
pub fn property_context<'world>(world: &'world dyn World, project: &Project, package: &Package) -> BaseContext<'world> {
    BaseContext::new(world, project.vars_for(&package.name), Some(project.target.context()))
}
