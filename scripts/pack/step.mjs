// The packages are released in step: all of one version, and where one asks for another it takes that one.

/** A sentence for each fault of these package.json: a range fits where it is the other's version, or begins with it. */
export function outOfStep(manifests) {
  const versions = new Map(manifests.map(({ name, version }) => [name, version]));
  const [{ name: first, version }] = manifests;
  const faults = manifests
    .filter((one) => one.version !== version)
    .map(
      (one) => `${one.name} is ${one.version} and ${first} is ${version}: the packages are released in step`,
    );
  for (const { name, version: own, ...manifest } of manifests)
    for (const kind of ["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"])
      for (const [other, range] of Object.entries(manifest[kind] ?? {}))
        if (versions.has(other) && range !== versions.get(other) && range !== `^${versions.get(other)}`)
          faults.push(
            `${name} ${own} asks for ${other} ${range}, and ${other} is ${versions.get(other)}: ask for that one`,
          );
  return faults;
}
