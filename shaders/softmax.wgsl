// y = softmax(x) or log_softmax(x) along rows, a workgroup for each row.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// extra: row length.

var<workgroup> parts: array<f32, WG>;

@compute @workgroup_size(WG)
fn softmax(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>,
           @builtin(num_workgroups) groups: vec3<u32>) {
    let row = group.x + group.y * groups.x;
    if row >= at.count { return; }
    let here = walk(row);
    let length = at.extra.x;
    var top = x[here.x];
    for (var k = t; k < length; k += WG) {
        top = max_(top, x[here.x + k * at.steps.x]);
    }
    parts[t] = top;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        // Makes the maxima of the round before visible.
        workgroupBarrier();
        if t < half {
            parts[t] = max_(parts[t], parts[t + half]);
        }
    }
    // Makes the row's maximum visible to all.
    workgroupBarrier();
    top = parts[0];
    var sum = 0.0;
    for (var k = t; k < length; k += WG) {
        sum += exp_(x[here.x + k * at.steps.x] - top);
    }
    // All have read the maximum before its place is written again.
    workgroupBarrier();
    parts[t] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        // Makes the sums of the round before visible.
        workgroupBarrier();
        if t < half {
            parts[t] += parts[t + half];
        }
    }
    // Makes the row's sum visible to all.
    workgroupBarrier();
    sum = parts[0];
    let log_sum = log_(sum);
    for (var k = t; k < length; k += WG) {
        let d = x[here.x + k * at.steps.x] - top;
        if LOG {
            y[here.w + k * at.steps.w] = d - log_sum;
        } else {
            y[here.w + k * at.steps.w] = exp_(d) / sum;
        }
    }
}
