/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_pci.h - a virtio device as a PCI function.
 *
 * virtio 1.2 section 4.1, modern interface only: one memory BAR with all
 * register blocks, MSI-X with a vector per queue and one for configuration
 * changes, no INTx.
 *
 * While the driver is ready, kicks reach the device's loop through ioeventfds
 * and interrupts leave it through irqfds: neither visits a vCPU thread.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_PCI_H
#define DEVICES_VIRTIO_VIRTIO_PCI_H

struct err;
struct eventfds;
struct pci_bus;
struct pci_function;
struct state_reader;
struct state_writer;
struct virtio_dev;
struct virtio_pci;

/* dev becomes the transport's; on failure it is freed.  efds outlives it.  Main. */
int virtio_pci_new(struct virtio_pci **ret_vp, struct virtio_dev *dev,
		   struct eventfds *efds, struct err *err);

/* Off the bus, while vCPUs are parked.  Frees the device too.  -> NULL */
struct virtio_pci *virtio_pci_free(struct virtio_pci *vp);

/* Of the device, as virtio.h has it.  While vCPUs are paused.  Main. */
void virtio_pci_pause(struct virtio_pci *vp);
void virtio_pci_resume(struct virtio_pci *vp);

/*
 * All of the function and its device, as sections of its devfn.  Saved while paused;
 * loaded on the bus, before any vCPU runs, and resumed then.  Main.
 */
void virtio_pci_save(struct virtio_pci *vp, struct state_writer *writer);
int virtio_pci_load(struct virtio_pci *vp, struct pci_bus *bus, struct state_reader *reader,
		    struct err *err);

/* The device behind it. */
struct virtio_dev *virtio_pci_device(struct virtio_pci *vp);

/* For pci_bus_add(). */
struct pci_function *virtio_pci_function(struct virtio_pci *vp);

#endif
