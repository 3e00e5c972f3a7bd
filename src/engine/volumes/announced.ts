import type { NewVolume, Volume, VolumeStore } from "../../core/volume/volume.ts";
import type { EventPublisher } from "../events/event.ts";

/** A volume store that announces what is made and removed, whoever asked: a user, a container's first start, a prune. */
export function announceVolumes(store: VolumeStore, events: EventPublisher): VolumeStore {
  const publish = (action: string, volume: Volume) =>
    events.publish({ type: "volume", action, id: volume.name, attributes: { driver: volume.driver } });
  return {
    async create(wanted: NewVolume): Promise<Volume> {
      const existed = wanted.name !== "" && store.get(wanted.name) !== undefined;
      const volume = await store.create(wanted);
      if (!existed) publish("create", volume);
      return volume;
    },
    async remove(name: string, options: { readonly force: boolean }): Promise<void> {
      const volume = store.get(name);
      await store.remove(name, options);
      if (volume) publish("destroy", volume);
    },
    get: (name) => store.get(name),
    list: () => store.list(),
    reference: (name, container) => store.reference(name, container),
    release: (name, container) => store.release(name, container),
    references: (name) => store.references(name),
    mount: (name, container) => store.mount(name, container),
    unmount: (name, container) => store.unmount(name, container),
    populate: (name, root, path) => store.populate(name, root, path),
    usage: (name) => store.usage(name),
  };
}
