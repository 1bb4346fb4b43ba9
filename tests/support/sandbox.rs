//! Sandboxes for a child: system calls that are refused, a mount namespace, another user.

/// Refuses these system calls with EPERM from now on, to this process and its children. `false`:
/// seccomp is not to be had.
pub fn refuse(calls: &[libc::c_long]) -> bool {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, of offset 0
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = vec![step(LOAD_NUMBER, 0, 0)];
    for (place, call) in calls.iter().enumerate() {
        program.push(step(IF_EQUAL, (calls.len() - place) as u8, *call as u32));
    }
    program.push(step(RETURN, 0, ALLOW));
    program.push(step(RETURN, 0, ERRNO | libc::EPERM as u32));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program that outlives the calls, which only read it.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) == 0
    }
}

/// Is this process root's?
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Gives up root's rights for good.
pub fn become_user(uid: u32) {
    // SAFETY: plain calls about this process.
    let changed = unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(uid) == 0 && libc::setuid(uid) == 0 };
    assert!(changed, "root may become user {uid}");
}

/// Sees mounts of its own from now on. `false`: this user may not.
pub fn own_mounts() -> bool {
    let none: *const libc::c_char = std::ptr::null();
    // SAFETY: plain calls; the strings live as long as the program.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
    }
}

/// Mounts an empty tmpfs there.
pub fn mount_tmpfs(at: &std::ffi::CStr, flags: libc::c_ulong, data: &std::ffi::CStr) {
    // SAFETY: strings that outlive the call.
    let mounted = unsafe { libc::mount(c"tmpfs".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), flags, data.as_ptr().cast()) };
    assert_eq!(mounted, 0, "mounting at {at:?}: {}", std::io::Error::last_os_error());
}

/// Sees an empty `/dev/shm` of its own from now on. `false`: this user may not.
pub fn own_shm() -> bool {
    // SAFETY: strings that outlive the call.
    own_mounts()
        && unsafe { libc::mount(c"tmpfs".as_ptr(), c"/dev/shm".as_ptr(), c"tmpfs".as_ptr(), 0, c"mode=1777".as_ptr().cast()) }
            == 0
}
