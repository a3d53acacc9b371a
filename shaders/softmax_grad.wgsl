// The gradient of softmax, y * (g - sum(g * y)), or of log_softmax, g - exp(y) * sum(g), along rows,
// a workgroup for each row.
@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> gx: array<f32>;

// extra: row length.

var<workgroup> parts: array<f32, WG>;

@compute @workgroup_size(WG)
fn softmax_grad(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>,
                @builtin(num_workgroups) groups: vec3<u32>) {
    let row = group.x + group.y * groups.x;
    if row >= at.count { return; }
    let here = walk(row);
    let length = at.extra.x;
    var sum = 0.0;
    for (var k = t; k < length; k += WG) {
        let slope = g[here.x + k * at.steps.x];
        if LOG {
            sum += slope;
        } else {
            sum += slope * y[here.y + k * at.steps.y];
        }
    }
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
    for (var k = t; k < length; k += WG) {
        let slope = g[here.x + k * at.steps.x];
        let result = y[here.y + k * at.steps.y];
        if LOG {
            gx[here.w + k * at.steps.w] = slope - exp_(result) * sum;
        } else {
            gx[here.w + k * at.steps.w] = result * (slope - sum);
        }
    }
}
