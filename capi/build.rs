//! How the shared library is linked.

fn main() {
    // The number changes with the ABI: see `abi.txt`.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libshmq.so.0");
    // It has a thread, fork handlers and thread-locals of its own, whose code must stay after
    // `dlclose`.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
