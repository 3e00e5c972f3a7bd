import { invalid } from "../../base/lib/errors.ts";

const pattern = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Docker's rule for a container's name; returns it without the slash. */
export function parseContainerName(name: string): string {
  if (!pattern.test(name)) {
    throw invalid(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  return name.startsWith("/") ? name.slice(1) : name;
}

const adjectives =
  "able agile airy ample amber azure basic blithe bold brave breezy bright brisk calm candid careful cheery chief civil clean clever cosmic cosy crisp curious daring dapper deft dewy dry eager early easy elated epic even exact fair fancy fast fine firm fleet fluent fond frank free fresh frosty gentle glad gleeful golden good grand great green handy happy hardy hearty helpful honest humble ideal jaunty jolly jovial keen kind large leafy light lively loyal lucid lucky lunar major mellow merry mighty mild mindful misty modest neat nimble noble normal novel open orderly patient peppy placid plucky polite prime proud quick quiet ready real regal rosy round ruddy sane serene sharp shiny silent silver simple sleek smart snappy snowy solar solid sound spry stable steady stoic strong sturdy subtle sunny super sure swift tidy tranquil true trusty upbeat urban valid vast vivid warm wise witty young zealous zesty".split(
    " ",
  );
const surnames =
  "abel ampere archimedes babbage banach bell bernoulli bessel bohr boole born bose boyle brahe cantor carson cauchy cavendish ceres church clarke conway copernicus coulomb cray curie dalton darwin davy dedekind descartes dirac doppler euclid euler faraday fermat fermi feynman fibonacci fleming fourier franklin fresnel galileo galois gauss germain gibbs goedel goodall hahn halley hamilton hawking heisenberg hertz hilbert hooke hopper hubble huygens hypatia jacobi johnson joule kepler kelvin knuth kovalevskaya lagrange lamarr laplace lavoisier leavitt leibniz liskov lorentz lovelace markov maxwell mayer meitner mendel mendeleev minkowski mirzakhani moser nash neumann newton nightingale noether ohm pascal pasteur pauli payne planck poincare ptolemy ramanujan rayleigh riemann roentgen rubin rutherford sagan shannon snell somerville stokes tarski tesla thomson torvalds turing vesalius volta wallace watt weber weyl wiles wozniak wu young".split(
    " ",
  );

/** A free name in Docker's form, adjective_surname; after a few collisions a digit is added. */
export function randomName(isTaken: (name: string) => boolean, random: () => number = Math.random): string {
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)] ?? "plain";
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(adjectives)}_${pick(surnames)}${attempt < 6 ? "" : Math.floor(random() * 10 ** (attempt - 5))}`;
    if (!isTaken(name)) return name;
  }
}
