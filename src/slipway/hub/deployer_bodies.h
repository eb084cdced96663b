// What the API Deployer's routes take, as key tables: they check a body before its handler and
// describe it (body_shapes.h). Tables are immutable and thread-safe.
#pragma once

#include "slipway/project/shape.h"

namespace slipway {

const Shape& StagesBody();
const Shape& NewInfraBody();
const Shape& NodesBody();
const Shape& NewDeploymentBody();
const Shape& DeploymentSettingsBody();  // what is wanted, saved
const Shape& DeploymentUpdateBody();    // and brought to the nodes
const Shape& PromoteBody();
const Shape& QueryBody();

}  // namespace slipway
