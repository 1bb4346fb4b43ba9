//! Builds the shim around boost::interprocess::message_queue if its headers and a C++ compiler are
//! installed; otherwise the bench goes without.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_boost)");
    println!("cargo::rerun-if-changed=cpp/boost_mq.cpp");
    println!("cargo::rerun-if-changed=/usr/include/boost/interprocess/ipc/message_queue.hpp");
    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").file("cpp/boost_mq.cpp").cargo_warnings(false).warnings(false);
    match shim.try_compile("boost_mq") {
        Ok(()) => {
            println!("cargo::rustc-link-lib=rt");
            println!("cargo::rustc-cfg=has_boost");
        }
        Err(_) => println!("cargo::warning=boost's headers are not here (Debian: libboost-dev): boost::interprocess is left out"),
    }
}
