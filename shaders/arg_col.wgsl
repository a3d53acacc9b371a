// The extreme element of each row of x and where it stands, one invocation for a row: for short rows
// and for rows that lie across memory.
// The definitions in front bind x (a), the values (y) and the places (c), and bring get_a, put_y,
// put_c, A and beats.
// extra: row length.

@compute @workgroup_size(WG)
fn arg_col(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat(id, groups);
    if row >= at.count { return; }
    let here = walk(row);
    var value = get_a(here.x);
    var place = 0u;
    for (var k = 1u; k < at.extra.x; k++) {
        let other = get_a(here.x + k * at.steps.x);
        if beats(other, value) {
            value = other;
            place = k;
        }
    }
    put_y(here.w, value);
    put_c(here.z, i32(place));
}
