"""What is installed at one node, as its SDN agent knows it from commissioning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from quoit.fabric.sdqkd import tree


@dataclass(frozen=True)
class Module:
    """A QKD module, and where its light goes. `number`: its qkdi_id, `far_number` that of the module it faces; `path`:
    the optical path that it is attached to, alike at both ends. `channel`: number of its WDM channel (193.4 THz is 34),
    None if it has none that the model could say; `loss_db` None: its key comes
    of entangled pairs, over no fibre of its own."""

    link: str
    number: int
    far: str
    far_number: int
    sender: bool
    model: str
    technology: str
    path: str
    loss_db: float | None
    channel: int | None = None

    @property
    def role(self) -> str:
        return tree.TRANSMITTER if self.sender else tree.RECEIVER


@dataclass(frozen=True)
class Hardware:
    """A node: its name, its network's, its modules; `nodes` are the names of all nodes that it can be told about.
    `default_routes`: controllers may write those of keys without a reserved route, because nobody else does.
    `unclaimed_routes`: no controller of ours is meant, so a virtual link that no application claims is such a route."""

    network: str
    node: str
    modules: tuple[Module, ...]
    nodes: tuple[str, ...]
    epoch_unix_s: float = 0.0
    default_routes: bool = False
    unclaimed_routes: bool = False

    @cached_property
    def qkdn_id(self) -> str:
        return self.id_of(self.node)

    def id_of(self, node: str) -> str:
        """Of any node of the network, by its name."""
        return tree.id_of(self.network, "node", node)

    @cached_property
    def by_number(self) -> dict[int, Module]:
        return {module.number: module for module in self.modules}

    @cached_property
    def name_of(self) -> dict[str, str]:
        """A node's name by its identifier."""
        return {tree.id_of(self.network, "node", name): name for name in self.nodes}

    def qkdl_id(self, module: Module) -> str:
        """The identifier of a physical link that is there from the start."""
        return tree.id_of(self.network, "link", module.link)

    def interface(self, module: Module) -> tree.Interface:
        """The module as the model describes it."""
        channel = None if module.channel is None else str(module.channel)
        return tree.Interface(
            module.number,
            module.model,
            tree.TYPES + module.technology,
            tree.AttPoint(module.path, 1 if module.sender else 2),
            tree.Capabilities(module.role, channel),
        )

    def link(self, module: Module, qkdl_id: str) -> tree.Link:
        """The physical link of a module, enabled."""
        return tree.Link(
            qkdl_id,
            qkdl_enable=True,
            qkdl_local=tree.End(self.qkdn_id, module.number),
            qkdl_remote=tree.End(tree.id_of(self.network, "node", module.far), module.far_number),
            qkdl_type=tree.PHYS,
            phys_channel_att=None if module.loss_db is None else tree.decimal(module.loss_db),
            phys_wavelength=None if module.channel is None else str(module.channel),
            phys_qkd_role=module.role,
        )

    def commissioned(self, with_links: bool) -> tree.Node:
        """The configuration that the node starts with: its modules and, if somebody else has set them up, links."""
        links = tuple(self.link(module, self.qkdl_id(module)) for module in self.modules) if with_links else ()
        return tree.Node(
            self.qkdn_id,
            qkdn_location_id=self.node,
            qkdn_capabilities=tree.NodeCapabilities(True, True, True),
            qkd_interfaces=tree.Interfaces(tuple(self.interface(module) for module in self.modules)),
            qkd_links=tree.Links(links),
        ).sorted
