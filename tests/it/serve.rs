//! The docs server gives the files of its folder and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The answer to a request whose target is sent as it is written: a client would tidy the path first.
fn answer(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn only_files_of_the_folder_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    std::fs::create_dir_all(site.join("node")).unwrap();
    std::fs::write(folder.path().join("outside.txt"), "outside").unwrap();
    std::fs::write(site.join("index.html"), "the first page").unwrap();
    std::fs::write(site.join("node/a.html"), "a page").unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside.txt"), site.join("link.txt")).unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = runtime.spawn(headwater::serve::folder(
        site,
        SocketAddr::from(([127, 0, 0, 1], 0)),
        move |address| tell.send(address).unwrap(),
        async move {
            let _ = stopped.await;
        },
    ));
    let address = told.recv().unwrap();
    assert!(address.ip().is_loopback());

    for (target, text) in [("/", "the first page"), ("/index.html", "the first page"), ("/node/a.html", "a page")] {
        let answer = answer(address, target);
        assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
        assert!(answer.contains("text/html") && answer.ends_with(text), "{target}: {answer}");
    }
    let outside = [
        "/../outside.txt",
        "/node/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "//etc/passwd",
        "/node",
        "/missing.html",
        "/./../outside.txt",
        "/..\\outside.txt",
        "/link.txt",
    ];
    for target in outside {
        let answer = answer(address, target);
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
        assert!(!answer.contains("outside"), "{target}: {answer}");
    }
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap().unwrap();
}
