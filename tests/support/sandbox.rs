//! Sandboxes for a child: system calls that are refused, a mount namespace, another user.

/// Refuses these system calls with EPERM from now on, to this process and its children. `false`:
/// seccomp is not available.
pub fn refuse(calls: &[libc::c_long]) -> bool {
    const ERRNO: u32 = 0x0005_0000;
    filter(calls, ERRNO | libc::EPERM as u32)
}

/// The same, but the kernel ends the process at such a call.
pub fn forbid(calls: &[libc::c_long]) -> bool {
    const KILL_PROCESS: u32 = 0x8000_0000;
    filter(calls, KILL_PROCESS)
}

fn filter(calls: &[libc::c_long], action: u32) -> bool {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, of offset 0
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const ALLOW: u32 = 0x7fff_0000;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = vec![step(LOAD_NUMBER, 0, 0)];
    for (place, call) in calls.iter().enumerate() {
        program.push(step(IF_EQUAL, (calls.len() - place) as u8, *call as u32));
    }
    program.push(step(RETURN, 0, ALLOW));
    program.push(step(RETURN, 0, action));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter program outlives the calls, which only read it.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) == 0
    }
}

/// Is this a process of root?
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Gives up root's rights permanently.
pub fn become_user(uid: u32) {
    // SAFETY: setgid and setuid take numbers; setgroups reads no list, since its length is 0.
    let changed = unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(uid) == 0 && libc::setuid(uid) == 0 };
    assert!(changed, "root may become user {uid}");
}

/// Gives this process a mount namespace of its own. `false`: this user may not have one.
pub fn own_mounts() -> bool {
    let none: *const libc::c_char = std::ptr::null();
    // SAFETY: unshare takes a number; the strings passed to mount live as long as the program.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
    }
}

/// Mounts an empty tmpfs at that path.
pub fn mount_tmpfs(at: &std::ffi::CStr, flags: libc::c_ulong, data: &std::ffi::CStr) {
    // SAFETY: mount takes NUL-terminated strings, which outlive the call.
    let mounted = unsafe { libc::mount(c"tmpfs".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), flags, data.as_ptr().cast()) };
    assert_eq!(mounted, 0, "mounting at {at:?}: {}", std::io::Error::last_os_error());
}

/// Gives this process an empty `/dev/shm` of its own. `false`: this user may not have one.
pub fn own_shm() -> bool {
    // SAFETY: mount takes NUL-terminated strings, which outlive the call.
    own_mounts()
        && unsafe { libc::mount(c"tmpfs".as_ptr(), c"/dev/shm".as_ptr(), c"tmpfs".as_ptr(), 0, c"mode=1777".as_ptr().cast()) }
            == 0
}
