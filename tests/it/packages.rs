//! Packages: constraints, and installs from a hub on loopback, a git repository, archives and folders.

use std::net::SocketAddr;
use std::process::Command;

use headwater::diagnostic::Diagnostic;
use headwater::event::NoEvents;
use headwater::packages::{AddedFrom, Addition, Constraint, DepsRequest, add, install, satisfying};
use headwater::project::LoadOptions;

use crate::here::Here;

/// A folder with a project and a hub that is served from beside it.
struct Place {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    world: Here,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for path in ["project", "hub/api/v1/acme"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let hub = folder.path().join("hub");
        runtime.spawn(headwater::serve::folder(hub, here, move |address| tell.send(address).unwrap(), std::future::pending()));
        let hub = ("DBT_PACKAGE_HUB_URL".to_string(), format!("http://{}", told.recv().unwrap()));
        let world = Here { env: [hub].into(), ..Here::default() };
        let place = Self { folder, runtime, world };
        place.write("project/dbt_project.yml", "name: shop\n");
        place
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).exists()
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { project_dir: Some(self.folder.path().join("project")), ..LoadOptions::default() }
    }

    fn install(&self, request: DepsRequest) -> Result<(), Box<Diagnostic>> {
        let request = DepsRequest { options: self.options(), ..request };
        self.runtime.block_on(install(&self.world, &request, &NoEvents))
    }

    /// Puts a release on the hub: its archive holds one folder with these files.
    fn release(&self, name: &str, files: &[(&str, &str)]) {
        let mut archive = archive();
        for (path, text) in files {
            entry(&mut archive, &format!("{name}-1.0/{path}"), tar::EntryType::Regular, text);
        }
        self.publish(name, archive);
    }

    fn publish(&self, name: &str, archive: tar::Builder<Vec<u8>>) {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&archive.into_inner().unwrap()).unwrap();
        std::fs::write(self.folder.path().join(format!("hub/{name}.tgz")), packed.finish().unwrap()).unwrap();
        let release = |version: &str, bound: &str| {
            let url = format!("{}/{name}.tgz", self.world.env["DBT_PACKAGE_HUB_URL"]);
            serde_json::json!({"name": name, "version": version, "packages": [], "downloads": {"tarball": url},
                               "require_dbt_version": [bound]})
        };
        let versions = serde_json::json!({"0.9.0": release("0.9.0", ">=1.0.0"), "1.0.0": release("1.0.0", ">=1.0.0"),
                                          "1.1.0-rc1": release("1.1.0-rc1", ">=1.0.0"), "2.0.0": release("2.0.0", ">=2.0.0")});
        let answer = serde_json::json!({"name": name, "namespace": "acme", "versions": versions});
        self.write(&format!("hub/api/v1/acme/{name}.json"), &answer.to_string());
    }
}

fn archive() -> tar::Builder<Vec<u8>> {
    tar::Builder::new(Vec::new())
}

/// An entry whose path is taken as it is, `..` too, which the library's own ways refuse.
fn entry(archive: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, text: &str) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    let content = if kind == tar::EntryType::Regular { text } else { "" };
    if kind.is_symlink() {
        header.set_link_name(text).unwrap();
    }
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append(&header, content.as_bytes()).unwrap();
}

#[test]
fn constraints_choose_as_dbt_does() {
    let available = ["0.9.0", "1.0.0-rc1", "1.0.0", "1.2.0", "1.10.0", "2.0.0b1", "2.0.0", "not-a-version"];
    let table: [(&[&str], bool, Option<&str>); 9] = [
        (&[], false, Some("2.0.0")),
        (&["1.0.0"], false, Some("1.0.0")),
        (&["=1.2.0"], false, Some("1.2.0")),
        (&[">=1.0.0", "<2.0.0"], false, Some("1.10.0")),
        // The bound's own pre-releases stay out.
        (&[">=1.0.0", "<2.0.0"], true, Some("1.10.0")),
        (&["<1.0.0"], false, Some("0.9.0")),
        (&[">1.10.0"], true, Some("2.0.0")),
        // A constraint that names a pre-release lets it in.
        (&["2.0.0-b1"], false, Some("2.0.0b1")),
        (&[">2.0.0"], false, None),
    ];
    for (constraints, prerelease, expected) in table {
        let constraints: Vec<Constraint> = constraints.iter().map(|text| Constraint::parse(text).unwrap()).collect();
        let found = satisfying(available.into_iter(), &constraints, prerelease);
        assert_eq!(found.last().copied(), expected, "{constraints:?}");
    }
    for wrong in ["1.0", "1", "latest", "^1.0.0", "~>1.0.0", ""] {
        assert!(Constraint::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_hub_package_is_locked_installed_and_checked() {
    let place = Place::new();
    place.release("kit", &[("dbt_project.yml", "name: kit\n"), ("macros/m.sql", "-- one")]);
    place.write("project/packages.yml", "packages:\n  - package: acme/kit\n    version: ['>=0.5.0']\n");
    place.install(DepsRequest::default()).unwrap();
    assert_eq!(place.read("project/dbt_packages/kit/macros/m.sql"), "-- one");
    let lock = place.read("project/package-lock.yml");
    assert!(lock.starts_with("packages:\n  - name: kit\n    package: acme/kit\n    version: 1.0.0\nsha1_hash: "), "{lock}");

    // The same version with other content is not what was locked; the installed packages stay as they are.
    place.release("kit", &[("dbt_project.yml", "name: kit\n"), ("macros/m.sql", "-- two")]);
    let error = place.install(DepsRequest::default()).unwrap_err();
    assert_eq!(error.code, "package-checksum");
    assert_eq!(place.read("project/dbt_packages/kit/macros/m.sql"), "-- one");
    place.install(DepsRequest { upgrade: true, ..DepsRequest::default() }).unwrap();
    assert_eq!(place.read("project/dbt_packages/kit/macros/m.sql"), "-- two");

    // A changed list resolves anew; `--no-version-check` also takes what other versions of dbt need.
    place.write("project/packages.yml", "packages:\n  - package: acme/kit\n    version: ['>=0.5.0', '<3.0.0']\n");
    place.install(DepsRequest { any_dbt_version: true, ..DepsRequest::default() }).unwrap();
    assert!(place.read("project/package-lock.yml").contains("version: 2.0.0"));
}

#[test]
fn the_lock_file_has_the_hash_that_dbt_gives_the_list() {
    // Asked of dbt-core 1.12.6 for a list with this one entry.
    let place = Place::new();
    place.release("b", &[("dbt_project.yml", "name: b\n")]);
    place.write("project/packages.yml", "packages:\n  - package: acme/b\n    version: 1.0.0\n");
    place.install(DepsRequest { lock_only: true, ..DepsRequest::default() }).unwrap();
    let lock = place.read("project/package-lock.yml");
    assert!(lock.contains("sha1_hash: 7468cae199b98b8c09ddeaf8e34a74410890d20a\n"), "{lock}");
    assert!(!place.has("project/dbt_packages"));
}

#[test]
fn what_would_leave_the_folder_is_not_unpacked() {
    use tar::EntryType::{Link, Regular, Symlink};
    let unsafe_entries = [
        ("kit/../../escaped.txt", Regular, "text"),
        ("/tmp/headwater-escaped.txt", Regular, "text"),
        ("kit/link", Symlink, "/etc"),
        ("kit/hard", Link, ""),
    ];
    for (path, kind, text) in unsafe_entries {
        let place = Place::new();
        let mut archive = archive();
        entry(&mut archive, "kit/dbt_project.yml", Regular, "name: kit\n");
        entry(&mut archive, path, kind, text);
        place.publish("kit", archive);
        place.write("project/packages.yml", "packages:\n  - package: acme/kit\n    version: 1.0.0\n");
        let error = place.install(DepsRequest::default()).unwrap_err();
        assert_eq!(error.code, "unsafe-archive", "{path}: {}", error.message);
        assert!(!place.has("project/dbt_packages") && !place.has("escaped.txt"), "{path}");
    }
}

#[test]
fn git_and_local_packages_are_installed_with_what_they_list() {
    let place = Place::new();
    place.release("kit", &[("dbt_project.yml", "name: kit\n")]);
    place.write("repo/part/dbt_project.yml", "name: part\n");
    place.write("repo/part/packages.yml", "packages:\n  - package: acme/kit\n    version: 0.9.0\n");
    place.write("near/dbt_project.yml", "name: near\n");
    let repo = place.folder.path().join("repo");
    for arguments in ["init --quiet", "add --all", "-c user.name=a -c user.email=a@example.org commit --quiet -m first", "tag v1"]
    {
        assert!(Command::new("git").args(arguments.split(' ')).current_dir(&repo).status().unwrap().success());
    }
    let list =
        format!("packages:\n  - git: file://{}\n    revision: v1\n    subdirectory: part\n  - local: ../near\n", repo.display());
    place.write("project/packages.yml", &list);
    place.install(DepsRequest::default()).unwrap();
    for name in ["part", "near", "kit"] {
        assert!(place.has(&format!("project/dbt_packages/{name}/dbt_project.yml")), "{name}");
    }
    assert!(!place.has("project/dbt_packages/part/.git"));

    for (wrong, code) in
        [("revision: v2", "package-git"), ("revision: --upload-pack=x", "package-git"), ("subdirectory: ../x", "package-git")]
    {
        place.write("project/packages.yml", &format!("packages:\n  - git: file://{}\n    {wrong}\n", repo.display()));
        assert_eq!(place.install(DepsRequest::default()).unwrap_err().code, code, "{wrong}");
        assert!(place.has("project/dbt_packages/part/dbt_project.yml"), "a failure leaves the packages: {wrong}");
    }
}

#[test]
fn a_package_is_added_to_the_list_in_place_of_the_same() {
    let place = Place::new();
    place.write(
        "project/packages.yml",
        "# ours\npackages:\n  - git: https://example.org/acme/kit-one.git\n    revision: v1\n  # near\n  - local: ../near\n",
    );
    let addition = Addition::parse("acme/kit_one@>=1.0.0,<2.0.0", AddedFrom::Hub).unwrap();
    add(&place.world, &place.options(), &addition, &NoEvents).unwrap();
    let expected = "# ours\npackages:\n  # near\n  - local: ../near\n  - package: \"acme/kit_one\"\n    version: [\">=1.0.0\", \"<2.0.0\"]\n";
    assert_eq!(place.read("project/packages.yml"), expected);
    assert_eq!(Addition::parse("acme/kit", AddedFrom::Hub).unwrap_err().code, "bad-argument");
}
