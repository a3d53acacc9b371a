// y = f(a, b), element by element: four at once where everything is flat, else with any strides.
// The definitions in front bind the operands and bring get_a, get_b, put_y and `each`, which is f.

@compute @workgroup_size(WG)
fn map2(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let here = walk(i);
    put_y(here.w, each(get_a(here.x), get_b(here.y)));
}
